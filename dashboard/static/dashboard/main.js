// Starts what every page has. Each module does one thing and needs none of the others to work.
import "./forms.js";
import "./keys.js";
import "./live.js";
import { startClock } from "./time.js";

document.documentElement.classList.add("has-js");
startClock();
