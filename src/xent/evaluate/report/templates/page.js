// Draws the charts, sorts the tables, and lets one class be chosen. Nothing here reads the network or writes markup from data.
const page = JSON.parse(document.getElementById("charts").textContent);
const options = {
  mode: "vega-lite", ast: true, actions: false, renderer: "svg", defaultStyle: false,
  tooltip: { disableDefaultStyle: true, theme: "plain" },
};
const views = {};

// A matrix has square cells, smaller where the page is narrow; names that are longer than a cell stand aslant.
function squared(chart, width) {
  const square = chart.usermeta?.square;
  if (!square) return chart;
  const side = Math.min(square.side, Math.max(3, Math.floor((width - square.room) / square.cells)));
  const angle = square.letters * 7 + 4 > side ? -45 : 0;
  const layer = chart.layer.map((one) => {
    const x = { ...one.encoding.x, axis: { ...one.encoding.x.axis, labelAngle: angle } };
    return { ...one, encoding: { ...one.encoding, x } };
  });
  return { ...chart, layer, width: side * square.cells, height: side * square.cells };
}

async function draw(place) {
  const chart = squared(page.charts[place.dataset.chart], place.clientWidth);
  const spec = { ...chart, description: place.dataset.says, datasets: { ...chart.datasets, ...page.datasets } };
  const drawn = await vegaEmbed(place, spec, options);
  views[place.dataset.chart] = drawn.view;
}

function number(cell) {
  return Number(cell.dataset.value);
}

function compare(column, numeric, sign) {
  return (one, other) => {
    const [a, b] = [one.cells[column], other.cells[column]];
    if (!numeric) return sign * a.textContent.localeCompare(b.textContent, "en", { numeric: true });
    const [x, y] = [number(a), number(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return sign * ((x > y) - (x < y));
  };
}

function sort(heading) {
  const table = heading.closest("table"), body = table.tBodies[0];
  const numeric = heading.classList.contains("n");
  const before = heading.getAttribute("aria-sort");
  const up = before ? before === "descending" : !numeric;
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  body.append(...[...body.rows].sort(compare(heading.cellIndex, numeric, up ? 1 : -1)));
}

for (const heading of document.querySelectorAll("table.sortable thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  heading.append(button);
  button.addEventListener("click", () => sort(heading));
}

const drawn = Promise.all([...document.querySelectorAll("[data-chart]")].map(draw));

const chooser = document.getElementById("class");
if (chooser) {
  chooser.disabled = false;
  chooser.addEventListener("change", async () => {
    await drawn;
    for (const name of ["reliability", "confidence"]) views[name].signal("chosen", Number(chooser.value)).runAsync();
  });
}

drawn.then(() => { document.documentElement.dataset.drawn = "yes"; }, (error) => console.error(error));
