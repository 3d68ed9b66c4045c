// Light, dark or the system's choice, kept for this browser in a cookie, so that the server draws it from the first byte.
const COOKIE = "homeostat_theme", YEAR_S = 31536000;

export function chooseTheme(theme) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `${COOKIE}=${theme}; path=/; samesite=lax; max-age=${theme ? YEAR_S : 0}${secure}`;
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  document.querySelector('meta[name="color-scheme"]').content = theme || "light dark";
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
  }
  dispatchEvent(new CustomEvent("themechange")); // charts draw with colours of their own
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-theme-choice]");
  if (button) chooseTheme(button.dataset.themeChoice);
});
