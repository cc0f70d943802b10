"use strict";
// A review sheet: one image after the other, one key each. Labels are stored in this browser by image,
// so that a reload loses nothing and two windows do not overwrite each other.
(() => {
  const $ = (id) => document.getElementById(id);
  const images = [...document.querySelectorAll("#sheet li")];
  const buttons = () => [...document.querySelectorAll("#answers button")];
  const find = $("find");  // of many classes, one is found by typing
  const wide = matchMedia("(min-width: 900px)");
  const NAME = "scones-labelled-by";
  const MATCHES = 9;  // classes that are shown while one is typed
  const name = () => $("name").value.trim();
  // Two people in one browser do not see each other's labels.
  const place = (image) => `scones-label-${image.dataset.upload}${name() && `-${name()}`}`;
  // data-label and data-key are JSON, exact and in ASCII; data-name is for people.
  const labelOf = (button) => JSON.parse(button.dataset.label);
  // Label → its name for people.
  const names = new Map([
    ...(find ? JSON.parse(find.dataset.classes) : []),
    ...buttons().map((button) => [labelOf(button), button.dataset.name]),
  ]);
  const inWords = (label) => names.get(label);

  const said = new Map();  // image → { label, labelled_at }
  let past = [];  // what was there before each answer: [number, answer or null]
  let current = 0;

  function recallName() {
    try { $("name").value = localStorage.getItem(NAME) ?? ""; } catch { /* not stored */ }
  }

  function recall() {
    for (const image of images) {
      let answer = null;
      try { answer = JSON.parse(localStorage.getItem(place(image))); } catch { /* not stored, or broken */ }
      const known = answer && names.has(answer.label);
      if (known && !Number.isNaN(Date.parse(answer.labelled_at))) said.set(image, answer);
      else said.delete(image);
    }
  }

  function keep(image, answer) {
    if (answer) said.set(image, answer); else said.delete(image);
    try {
      if (answer) localStorage.setItem(place(image), JSON.stringify(answer));
      else localStorage.removeItem(place(image));
    } catch { $("unkept").hidden = false; }
  }

  function describe(number) {
    const says = said.has(images[number]) ? `, the model says ${images[number].dataset.says}` : "";
    return `Image ${number + 1} of ${images.length}: ${images[number].dataset.name}${says}.`;
  }

  function draw() {
    images.forEach((image, number) => {
      const answer = said.get(image);
      image.classList.toggle("labelled", Boolean(answer));
      image.querySelector(".said").textContent = answer ? inWords(answer.label) : "";
      const tile = image.querySelector("button");
      if (number === current) tile.setAttribute("aria-current", "true"); else tile.removeAttribute("aria-current");
    });
    const answer = said.get(images[current]);
    $("current").classList.toggle("labelled", Boolean(answer));
    for (const button of buttons())
      button.setAttribute("aria-pressed", String(Boolean(answer) && labelOf(button) === answer.label));
    $("bar").value = said.size;
    $("count").textContent = `${said.size} of ${images.length} labelled`;
    $("save").disabled = said.size === 0;
    $("undo").disabled = said.size === 0 && past.length === 0;
    $("done").hidden = said.size < images.length;
  }

  function show(number, before = "") {
    const moves = number !== current;
    current = number;
    const face = images[number].querySelector(".face").cloneNode(true);
    const picture = face.querySelector("img");
    if (picture) picture.alt = images[number].dataset.name;
    $("current").replaceChildren(face);
    search();
    $("where").textContent = `Image ${number + 1} of ${images.length}`;
    draw();
    if (wide.matches && moves) images[number].scrollIntoView({ block: "nearest" });
    $("status").textContent = `${before}${describe(number)}`;
  }

  // The best matches of what is typed, or of nothing typed the classes that were said last.
  function matches(typed) {
    if (!typed) {
      const latest = [...said.values()].sort((a, b) => Date.parse(b.labelled_at) - Date.parse(a.labelled_at));
      return [...new Set(latest.map((each) => each.label))].filter((label) => label !== null).slice(0, MATCHES);
    }
    const rank = (name) => {
      const at = name.toLowerCase().indexOf(typed);
      return at <= 0 ? at : 1 + /[\p{L}\p{N}]/u.test(name[at - 1]);  // at the start, of a word, within one
    };
    const ranked = [...names].filter(([label]) => label !== null).map(([label, name]) => [rank(name), name, label]);
    return ranked.filter(([at]) => at >= 0)
      .sort((a, b) => a[0] - b[0] || a[1].length - b[1].length || (a[1] < b[1] ? -1 : 1))
      .slice(0, MATCHES).map(([, , label]) => label);
  }

  function search() {
    if (!find) return;
    const found = matches(find.value.trim().toLowerCase());
    $("found").replaceChildren(...found.map((label) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.label = JSON.stringify(label);
      button.textContent = inWords(label);
      button.addEventListener("click", () => answer(label));
      return button;
    }));
    if (find.value) $("status").textContent = found.length ? `First: ${inWords(found[0])}.` : "No class has that.";
  }

  function following(number) {
    for (let step = 1; step < images.length; step++) {
      const next = (number + step) % images.length;
      if (!said.has(images[next])) return next;
    }
    return number;
  }

  function answer(label) {
    past.push([current, said.get(images[current]) ?? null]);
    keep(images[current], { label, labelled_at: new Date().toISOString() });
    const all = said.size === images.length ? "All images are labelled. " : "";
    const reveal = `${inWords(label)}. The model says ${images[current].dataset.says}.`;
    $("reveal").textContent = `You: ${reveal}`;
    $("reveal").hidden = false;
    if (find) find.value = "";
    show(following(current), `${reveal} ${all}`);
  }

  function latest() {
    const labelled = images.map((image, number) => [number, said.get(image)]).filter(([, answer]) => answer);
    labelled.sort(([, a], [, b]) => Date.parse(b.labelled_at) - Date.parse(a.labelled_at));
    return labelled.length ? [labelled[0][0], null] : null;
  }

  function undo() {
    const [number, before] = past.pop() ?? latest();
    keep(images[number], before);
    $("reveal").hidden = true;
    show(number, "Undone. ");
  }

  function save() {
    const lines = images.filter((image) => said.has(image)).map((image) => `${JSON.stringify({
      upload_id: image.dataset.upload, key: JSON.parse(image.dataset.key), ...said.get(image),
      labelled_by: name() || null, source: image.dataset.source,
      draw_probability: image.dataset.draw ? Number(image.dataset.draw) : null,
    })}\n`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
    link.download = $("save").dataset.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    $("status").textContent = `${lines.length} label${lines.length === 1 ? "" : "s"} saved as ${link.download}.`;
  }

  for (const button of buttons()) button.addEventListener("click", () => answer(labelOf(button)));
  find?.addEventListener("input", search);
  find?.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { find.value = ""; search(); find.blur(); }
    if (event.key !== "Enter" || event.repeat || event.isComposing || !find.value.trim()) return;
    event.preventDefault();
    const [label] = matches(find.value.trim().toLowerCase());
    if (label !== undefined) answer(label);
  });
  $("back").addEventListener("click", () => show((current + images.length - 1) % images.length));
  $("skip").addEventListener("click", () => show((current + 1) % images.length));
  $("undo").addEventListener("click", undo);
  $("save").addEventListener("click", save);
  $("name").addEventListener("change", () => {
    try { localStorage.setItem(NAME, name()); } catch { $("unkept").hidden = false; }
    past = [];
    recall();
    show(following(images.length - 1));
  });
  images.forEach((image, number) => image.querySelector("button").addEventListener("click", () => {
    show(number);
    $("stage").scrollIntoView({ block: "nearest" });
  }));

  const byKey = new Map();
  for (const button of document.querySelectorAll("[data-keys]"))
    for (const key of button.dataset.keys.split(" ").filter(Boolean)) byKey.set(key, button);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target === $("name")) return;
    if (event.target === find && find.value) return;  // keys are letters of a class
    const button = byKey.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    if (!button) {
      if (find && /^[\p{L}\p{N}]$/u.test(event.key)) find.focus();  // and the key is typed there
      return;
    }
    event.preventDefault();
    // A key that is held down moves on; it does not label what nobody has looked at.
    if (!event.repeat || button.dataset.moves !== undefined) button.click();
  });
  addEventListener("storage", () => { recallName(); recall(); draw(); });

  recallName();
  recall();
  $("stage").hidden = false;
  show(following(images.length - 1));
})();
