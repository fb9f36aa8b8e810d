"""One function per rule about arguments; front doors call them, nothing below does."""
