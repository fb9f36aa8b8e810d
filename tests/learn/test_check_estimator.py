"""scikit-learn's own checks of what an estimator is."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from xent.learn import SoftmaxRegression

# Where all weight lies on one class the intercept's optimum is at infinity; plain descent nears it ever slower, hence its tol.
VARIANTS = [
    SoftmaxRegression(),
    SoftmaxRegression(standardize=True, loss="squared-error"),
    SoftmaxRegression(standardize=True, solver="gd", l2=0.1, tol=1e-2),
]


@parametrize_with_checks(VARIANTS)
def test_scikit_learn_accepts_the_estimator(estimator, check):
    check(estimator)
