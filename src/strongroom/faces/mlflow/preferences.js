// Runs before MLflow's interface: what this server does not offer is not put before people.
// The names are the interface's own, with the version that it writes behind them.
"use strict";

(() => {
  const preferences = {
    // The assistant opens its panel by itself where the server is found at `localhost`.
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": true,
    "mlflow.assistant.panelOpen_v1": false,
    // Telemetry is off at the server; without this the home page says that data is collected.
    "mlflow.settings.telemetry.enabled_v1": false,
    "mlflow.telemetry.info.alert.dismissed_v1": true,
  };
  try {
    for (const [name, value] of Object.entries(preferences)) {
      window.localStorage.setItem(name, JSON.stringify(value));
    }
  } catch {
    // A browser that keeps nothing shows them; nothing depends on it.
  }
})();
