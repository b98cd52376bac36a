// The theme that was chosen in the dashboard, which keeps it in this browser. The page is the same for everybody.
try {
  const theme = localStorage.getItem("tradepost.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // no storage: as the browser prefers
}
