// A decision that no longer fits the form says so, until it is renewed.
for (const kind of ["input", "change"]) document.addEventListener(kind, (event) => {
  if (!event.target.closest("#form") || event.target.closest("#client-number")) return;
  const note = document.querySelector("#result .cr-stale");
  if (note) note.hidden = false;
});
