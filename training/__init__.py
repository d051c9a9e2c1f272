"""Learning: import, simulation, datasets, fitting. Imports `model`, never `service`."""
