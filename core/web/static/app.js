// What stays in the browser. Everything that matters is decided and drawn by the server.
import "./js/requests.js";
import "./js/dialogs.js";
import "./js/menus.js";
import "./js/toasts.js";
import "./js/tabs.js";
import "./js/forms.js";
import "./js/account.js";
import "./js/sections.js";
import "./js/lists.js";
import "./js/neighbours.js";
import "./js/matrix.js";
import "./js/live.js";
import "./js/charts.js";
import "./js/palette.js";
import "./js/suggest.js";
import "./js/theme.js";
import "./js/keys.js";
