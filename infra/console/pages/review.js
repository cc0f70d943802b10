"use strict";
// One image after the other, one key each. A label is sent as soon as it is given, and the next image appears
// at once; the model's answer follows when the label is in the table.
(() => {
  const $ = (id) => document.getElementById(id);
  const NAME = "scones-labelled-by";
  const SHOWN = 9;  // as many classes as there are number keys
  let queue = [];  // images to label, in their order
  let skipped = [];
  let past = [];  // images that were labelled, the latest last
  let keys = {};  // class → its keys
  let classes = [];
  let recent = [];  // classes that were used, the latest first
  let loaded = 0;
  let waiting = 0;
  let sending = Promise.resolve();

  const isLong = () => classes.length > SHOWN;
  const shown = (text) => text.replace(/[^\n -~]/gu, (found) => /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(found) ? "�" : found);
  const inWords = (label) => label === null ? "none of these" : shown(label);
  const picture = (image) => `/picture?${new URLSearchParams({ key: image.key, version: image.version, size: "large" })}`;

  async function ask(path, body) {
    const answer = await fetch(path, body && { method: "POST", body: JSON.stringify(body), keepalive: true });
    const said = await answer.json().catch(() => ({ detail: answer.statusText }));
    if (!answer.ok) throw new Error(said.detail);
    return said;
  }

  function fail(error) { $("fault").textContent = `${error.message}`; }

  async function load() {
    $("fault").textContent = "";
    $("begin").disabled = $("more").disabled = true;
    try {
      const said = await ask(`/review/queue?${new URLSearchParams({ sample: $("sample").value, only: $("only").value })}`);
      const known = new Set(past.map((each) => each.image.id));
      queue = said.images.filter((image) => !known.has(image.id));
      ({ keys, waiting } = said);
      classes = Object.keys(keys);
      skipped = [];
      loaded = queue.length;
      $("start").hidden = queue.length > 0;
      $("none").hidden = queue.length > 0;
      $("find").hidden = !isLong();
      show();
    } catch (error) { fail(error); }
    $("begin").disabled = $("more").disabled = false;
  }

  function show(before = "") {
    const image = queue[0];
    $("stage").hidden = !image;
    $("done").hidden = Boolean(image) || loaded === 0;
    loaded = Math.max(loaded, queue.length);  // one that is undone may be of an earlier load
    const done = loaded - queue.length;
    $("bar").max = loaded || 1;
    $("bar").value = done;
    $("count").textContent = `${done} of ${loaded} done${waiting > loaded ? `, ${waiting} wait in all` : ""}`;
    $("undo").disabled = $("undo-last").disabled = past.length === 0;
    $(image ? "after" : "done").append($("reveal"));  // of the last image, too
    if (!image) {
      const rest = skipped.length ? `, ${skipped.length} skipped` : "";
      $("done-said").textContent = `${past.length} labelled${rest}.`;
      $("status").textContent = before + $("done-said").textContent;
      if (loaded) $("more").focus();
      return;
    }
    $("where").textContent = `Image ${done + 1} of ${loaded}`;
    $("picture").hidden = false;
    $("blank").hidden = true;
    $("picture").src = picture(image);
    $("picture").alt = "The image to label";
    $("key").textContent = shown(image.key);
    $("find").value = "";
    offer();
    for (const next of queue.slice(1, 4)) new Image().src = picture(next);
    if (isLong()) $("find").focus({ preventScroll: true });
    $("status").textContent = `${before}Image ${done + 1} of ${loaded}.`;
  }

  function matches(text) {
    const typed = text.trim().toLowerCase();
    if (!isLong()) return classes;
    if (!typed) return [...recent, ...classes.filter((name) => !recent.includes(name))].slice(0, SHOWN);
    const lower = (name) => name.toLowerCase();
    const begins = classes.filter((name) => lower(name).startsWith(typed));
    const has = classes.filter((name) => !lower(name).startsWith(typed) && lower(name).includes(typed));
    return [...begins, ...has].slice(0, SHOWN);
  }

  function offer() {
    $("answers").replaceChildren(...matches($("find").value).map((name, number) => {
      const button = document.createElement("button");
      const own = isLong() ? [String(number + 1)] : keys[name];
      button.type = "button";
      button.label = name;
      button.keys = own;
      if (own.length) button.setAttribute("aria-keyshortcuts", own.join(" "));
      for (const key of own) {
        const kbd = document.createElement("kbd");
        kbd.textContent = key;
        kbd.ariaHidden = "true";
        button.append(kbd);
      }
      button.append(Object.assign(document.createElement("span"), { textContent: shown(name) }));
      button.addEventListener("click", () => give(name));
      return button;
    }));
  }

  function give(label) {
    const image = queue.shift();
    if (!image) return;
    const given = { image, label, isThere: false };
    past.push(given);
    if (label !== null) recent = [label, ...recent.filter((name) => name !== label)].slice(0, SHOWN);
    show();
    sending = sending.then(async () => {
      try {
        const model = await ask("/review/labels", { id: image.id, label, by: $("name").value.trim() });
        given.isThere = true;
        $("fault").textContent = "";
        reveal(given, model);
      } catch (error) {
        if (past.includes(given)) queue.unshift(image);
        past = past.filter((each) => each !== given);
        fail(error);
        show();
      }
    });
  }

  function reveal({ image, label }, model) {
    const percent = (share) => `${(100 * share).toFixed(1)} %`;
    $("before-key").textContent = shown(image.key);
    $("before-key").href = `/image?${new URLSearchParams({ key: image.key, version: image.version })}`;
    $("you").textContent = `You: ${inWords(label)}`;
    const end = model.is_accepted ? "accepted" : model.confidence < model.threshold ? "not sure enough" : "unlike the classes";
    $("model").textContent = `Model: ${shown(model.label)}, ${percent(model.confidence)} (${end})`;
    $("model").className = model.label === label ? "" : "bad";
    $("scores").replaceChildren(...Object.entries(model.scores).flatMap(([name, score]) => [
      Object.assign(document.createElement("dt"), { textContent: shown(name) }),
      Object.assign(document.createElement("dd"), { textContent: percent(score) }),
    ]));
    $("reveal").hidden = false;
    $("status").textContent = `${$("you").textContent}. ${$("model").textContent}. ${$("where").textContent}`;
  }

  function undo() {
    const given = past.pop();
    if (!given) return;
    queue.unshift(given.image);
    $("reveal").hidden = true;
    show("Undone. ");
    sending = sending.then(async () => {
      if (!given.isThere) return;
      try {
        await ask("/review/labels/taken-back", { id: given.image.id, by: $("name").value.trim() });
        $("fault").textContent = "";
      } catch (error) { fail(error); }
    });
  }

  function skip() {
    if (queue.length) skipped.push(queue.shift());
    show("Skipped. ");
  }

  const byKey = new Map([["Backspace", "undo"], ["ArrowRight", "skip"], ["0", "none-of-these"]]);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if ($("stage").hidden && ($("done").hidden || event.key !== "Backspace")) return;
    const isFinding = event.target === $("find");
    if (!isFinding && /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const named = byKey.get(key);
    let button = named && $(named);
    const typed = isFinding ? $("find").value : "";
    // In the field, Backspace and the arrows edit what is typed, and a digit may be part of a class's name.
    if (typed && (key.length > 1 || matches(typed + key).length)) button = null;
    else button ??= [...$("answers").children].find((each) => each.keys.includes(key));
    if (typed && key === "Enter") button = $("answers").firstElementChild;
    if (!button || button.disabled) return;
    event.preventDefault();
    // A key that is held down labels nothing that nobody has looked at.
    if (!event.repeat) button.click();
  });

  $("find").addEventListener("input", offer);
  for (const id of ["undo", "undo-last"]) $(id).addEventListener("click", undo);
  $("skip").addEventListener("click", skip);
  $("none-of-these").addEventListener("click", () => give(null));
  $("picture").addEventListener("error", () => { $("picture").hidden = true; $("blank").hidden = false; });
  $("more").addEventListener("click", load);
  $("only").addEventListener("change", () => {
    const isOfOneReason = ["unsure", "unlike"].includes($("only").value);
    $("sampling").hidden = isOfOneReason;
    $("only-says").hidden = !isOfOneReason;
    if ($("only").value === "sample" && $("sample").value === "0") $("sample").value = "20";
  });
  $("start").addEventListener("submit", (event) => {
    event.preventDefault();
    try { localStorage.setItem(NAME, $("name").value.trim()); } catch { /* asked again next time */ }
    load();
  });
  try { $("name").value = localStorage.getItem(NAME) ?? ""; } catch { /* not stored */ }
})();
