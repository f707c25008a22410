// A decision that no longer fits the form says so, until it is renewed.
const moved = () => {
  const note = document.querySelector("#result .cr-stale");
  if (note) note.hidden = false;
};
// Not "change": a text field fires it when it loses the focus to the decision that its Enter has just asked for.
for (const kind of ["input", "mousedown", "keydown"]) {
  document.addEventListener(kind, ({ target, type, key }) => {
    if (!target.closest("#form") || target.closest("#client-number")) return;
    const chosen = type === "mousedown" ? target.closest("[role=option]") : key === "Enter" && target.closest("[role=combobox]");
    if (chosen || type === "input") moved();
  });
}
