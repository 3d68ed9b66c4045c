// Starts what every page has. Each module does one thing.
import "./forms.js";
import "./keys.js";
import "./live.js";
import "./palette.js";
import "./standing.js";
import "./theme.js";
import { startClock } from "./time.js";

document.documentElement.classList.add("has-js");
startClock();
