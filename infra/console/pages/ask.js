"use strict";
// Ctrl+Enter asks, and while an answer is awaited the page says so.
(() => {
  const form = document.getElementById("ask");
  const busy = document.getElementById("busy");
  document.getElementById("sql").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    if (event.submitter?.value === "csv") return;  // the page stays
    busy.textContent = "Asking …";
  });
  addEventListener("pageshow", () => { busy.textContent = ""; });
})();
