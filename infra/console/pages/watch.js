"use strict";
// Drop and watch. The server knows every image that is in the bucket; this page adds those that are on their
// way there. Whatever happens marks what has to be drawn, and one frame draws it: never more rows than are seen.
(() => {
  const $ = (id) => document.getElementById(id);
  const settings = JSON.parse($("board").dataset.settings);
  const headings = new Map(settings.outcomes.map((each) => [each.value, each]));
  const AT_ONCE = 4;  // uploads; a browser has six connections to a host, and one of them listens
  const REDRAW_MS = 250;  // counts, order and chart
  const SAY_MS = 4000;  // what is read aloud
  const BEYOND = 8;  // rows drawn above and below those that are seen
  const MOST = 10000;

  // One entry an image: of the server (id) or of this page alone (file). `drawn` counts its changes.
  const byId = new Map();
  const onTheWay = new Map();  // key → how many uploads of it there are right now
  let entries = [], order = [], show = "all";
  let held = [];  // images that may be one of those uploads: which one, their answers say
  let queue = [], running = 0, total = 0, done = 0;
  let stale = true, urgent = true, reordered = false, later = 0, drawnAt = 0, saidAt = 0;
  const rows = new Map();  // entry → its <li>
  const number = new Intl.NumberFormat("en");
  const percent = (share) => share > .9995 && share < 1 ? ">\u00a099.9\u00a0%" : `${(100 * share).toFixed(1)}\u00a0%`;

  // ── what the server says ─────────────────────────────────────────────────────────────────────────────────

  let cursor = "", source = null;

  function listen() {
    source = new EventSource(`/events?since=${cursor}`);
    source.onopen = () => live("on", "Live");
    source.addEventListener("images", (event) => {
      cursor = event.lastEventId;
      for (const image of JSON.parse(event.data)) take(image);
      changed();
    });
    source.addEventListener("state", (event) => queues(JSON.parse(event.data)));
    source.onerror = () => {
      live("lost", "No connection: trying again …");
      if (source.readyState !== EventSource.CLOSED) return;
      live("lost", "The console is gone, or has another token: open the address that it prints.");
      setTimeout(listen, 3000);
    };
  }

  function live(is, text) { $("live").dataset.is = is; $("live").textContent = text; }

  function take(image) {
    let entry = byId.get(image.id);
    if (!entry && onTheWay.has(image.key)) { held.push(image); return; }
    if (!entry) {
      entry = { id: image.id, at: image.at };
      byId.set(image.id, entry);
      add(entry);
    }
    Object.assign(entry, image, { at: entry.at, stored: entry.stored ?? image.at });
    entry.drawn = (entry.drawn ?? 0) + 1;
  }

  function add(entry) {
    entries.push(entry);
    reordered = true;
  }

  function queues(state) {
    const depths = state.queues;
    $("fault").hidden = !state.fault;
    $("fault").textContent = state.fault ? `The system does not answer: ${state.fault}` : "";
    if (!depths) return;
    const dead = depths.undelivered + depths.unrecorded;
    $("q-results").textContent = number.format(depths.results);
    $("q-waiting").textContent = number.format(depths.waiting);
    $("q-dead").textContent = number.format(dead);
    $("q-dead").classList.toggle("bad", dead > 0);
  }

  // ── what is dropped ──────────────────────────────────────────────────────────────────────────────────────

  function drop(files) {
    if (!files.length) return;
    const at = Date.now(), prefix = $("prefix").value;
    files.forEach(({ file, path }, place) => {
      const key = (prefix + path).toWellFormed();
      // The first of a drop stands first, as it is uploaded first.
      const entry = {
        key, name: key, file, at: at - place / 1000, local: "queued", drawn: 1, upload: crypto.randomUUID(),
      };
      add(entry);
      queue.push(entry);
    });
    total += files.length;
    start();
    changed();
  }

  function start() {
    while (running < AT_ONCE && queue.length) { running += 1; send(queue.shift()); }
    if (!running) { total = done = 0; }
  }

  async function send(entry) {
    entry.local = "uploading"; entry.drawn += 1;
    // Only now: the browser asks the disk for a file's size, and the page waits for each answer.
    entry.size = entry.file.size;
    if (entry.size > settings.max_bytes) fail(entry, `Left out: an image has at most ${bytes(settings.max_bytes)}.`, false);
    else await put(entry);
    running -= 1; done += 1;
    start();
    changed();
  }

  async function put(entry) {
    onTheWay.set(entry.key, (onTheWay.get(entry.key) ?? 0) + 1);
    try {
      const asked = new URLSearchParams({ key: entry.key, upload: entry.upload, ...(entry.again && { again: 1 }) });
      const answer = await fetch(`/upload?${asked}`, { method: "PUT", body: entry.file });
      const said = await answer.json().catch(() => ({}));
      if (answer.ok) stored(entry, said);
      else fail(entry, said.detail ?? `The console answered ${answer.status}.`, answer.status >= 500);
    } catch {
      fail(entry, "It did not reach the console.", true);
    }
    const left = onTheWay.get(entry.key) - 1;
    if (left) onTheWay.set(entry.key, left); else onTheWay.delete(entry.key);
    const before = held;
    held = [];
    before.forEach(take);
  }

  function stored(entry, { id, version }) {
    const known = byId.get(id);
    if (known) {  // the same bytes again, in a bucket without versions
      const { at, file, ...said } = known;
      Object.assign(entry, said);
      entries = entries.filter((each) => each !== known);
      reordered = true;
    }
    byId.set(id, entry);
    Object.assign(entry, { id, version, local: null, stored: Date.now(), drawn: entry.drawn + 1 });
  }

  function fail(entry, why, mayRetry) {
    Object.assign(entry, { local: "failed", why, mayRetry, drawn: entry.drawn + 1 });
  }

  function again() {
    for (const entry of entries) if (entry.local === "failed" && entry.mayRetry) {
      Object.assign(entry, { local: "queued", why: null, again: true, drawn: entry.drawn + 1 });
      queue.push(entry);
      total += 1;
    }
    start();
    changed();
  }

  async function found(entry, into) {
    if (entry.isFile) {
      const path = entry.fullPath.replace(/^\//, "");
      await new Promise((next) => entry.file((file) => { into.push({ file, path }); next(); }, next));
      return;
    }
    const reader = entry.createReader();
    for (;;) {  // a reader gives a hundred at a time
      const some = await new Promise((next) => reader.readEntries(next, () => next([])));
      if (!some.length) return;
      for (const each of some) await found(each, into);
    }
  }

  addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    document.body.classList.add("over");
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
  addEventListener("drop", async (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.remove("over");
    // Entries are gone once the event is over: all are taken before the first one is read.
    const dropped = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    const files = [];
    for (const entry of dropped) await found(entry, files);
    drop(files);
  });
  for (const [button, input] of [["pick-files", "files"], ["pick-folder", "folder"]]) {
    $(button).addEventListener("click", () => $(input).click());
    $(input).addEventListener("change", () => {
      drop([...$(input).files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
      $(input).value = "";
    });
  }
  $("again").addEventListener("click", again);
  addEventListener("beforeunload", (event) => { if (running || queue.length) event.preventDefault(); });

  // ── what is shown ────────────────────────────────────────────────────────────────────────────────────────

  const FILTERS = [
    ["all", "All", ""],
    ["way", "On the way", ""],
    ...settings.outcomes.map((each) => [each.value, each.heading, each.colour]),
    ["lost", "Not uploaded", "bad"],
  ];
  const kindOf = (entry) => entry.local === "failed" ? "lost" : entry.outcome ?? "way";
  const buttons = new Map(FILTERS.map(([kind, heading, colour]) => {
    const button = document.createElement("button");
    button.type = "button";
    if (colour) button.style.setProperty("--dot", `var(--${colour})`);
    button.append(heading, " ", document.createElement("b"));
    button.addEventListener("click", () => { show = kind; reordered = urgent = true; changed(); });
    $("filters").append(button);
    return [kind, button];
  }));

  function stageOf(entry, now) {
    if (entry.local === "queued") return "queued";
    if (entry.local === "uploading") return "uploading";
    if (entry.local === "failed") return "not uploaded";
    if (entry.outcome) return headings.get(entry.outcome)?.heading ?? entry.outcome;
    return now - entry.stored < 1000 * settings.waits_after_s ? "in the bucket" : "waiting";
  }

  const bytes = (size) => size < 1000 ? `${size} B` : size < 1e6 ? `${(size / 1000).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`;
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

  function fill(row, entry, now) {
    const stage = stageOf(entry, now), kind = kindOf(entry), colour = headings.get(kind)?.colour;
    if (row.entry === entry && row.drawn === entry.drawn && row.stage === stage) return;
    const [face, what, answer, badge] = row.children;
    picture(face.firstChild, entry);
    Object.assign(row, { entry, drawn: entry.drawn, stage });
    row.style.setProperty("--dot", colour ? `var(--${colour})` : kind === "lost" ? "var(--bad)" : "var(--base)");
    const [name, more] = what.children;
    name.textContent = name.title = entry.name;
    if (entry.id) name.href = `/image?${identity(entry)}`; else name.removeAttribute("href");
    const others = (entry.scores ?? []).slice(1).map(([label, score]) => `${label} ${percent(score)}`).join(", ");
    const fault = entry.why ?? (entry.reason ? [entry.reason, entry.detail].filter(Boolean).join(": ") : "");
    more.textContent = fault || others || `${bytes(entry.size ?? entry.file.size)}, ${clock.format(entry.stored ?? entry.at)}`;
    more.title = more.textContent;
    const answered = entry.confidence != null;
    answer.firstChild.textContent = answered ? `${entry.label} ${percent(entry.confidence)}` : "";
    answer.lastChild.hidden = !answered;
    if (answered) {
      const [bar, line] = answer.lastChild.children;
      bar.style.width = `${100 * entry.confidence}%`;
      line.style.left = `${100 * entry.threshold}%`;
      answer.title = `threshold ${percent(entry.threshold)}`;
    }
    badge.textContent = stage;
  }

  const identity = (entry) => new URLSearchParams({ key: entry.key, ...(entry.version && { version: entry.version }) });

  function picture(image, entry) {
    const from = entry.file && !entry.unreadable ? "file" : entry.id ? "server" : "";
    if (image.entry === entry && image.from === from) return;
    release(image);
    Object.assign(image, { entry, from });
    if (from === "file") image.src = image.own = URL.createObjectURL(entry.file);
    if (from === "server") image.src = `/picture?${identity(entry)}`;
  }

  function unreadable(image) {
    if (image.from !== "file") { release(image); return; }
    image.entry.unreadable = true;  // by the browser; the console reads more formats
    picture(image, image.entry);
  }

  function release(image) {
    if (image.own) URL.revokeObjectURL(image.own);
    image.own = null;
    image.removeAttribute("src");
  }

  function rowsInView() {
    const list = $("list"), height = parseFloat(getComputedStyle(list).getPropertyValue("--row"));
    const top = -list.getBoundingClientRect().top;
    const first = Math.max(Math.floor(top / height) - BEYOND, 0);
    const last = Math.min(Math.ceil((top + innerHeight) / height) + BEYOND, order.length);
    return [height, first, Math.max(last, first)];
  }

  function drawRows(now) {
    const list = $("list"), [height, first, last] = rowsInView();
    list.style.height = `${order.length * height}px`;
    const seen = new Map();
    for (let place = first; place < last; place += 1) seen.set(order[place], place);
    for (const [entry, row] of rows) if (!seen.has(entry) && !row.contains(document.activeElement)) {
      release(row.firstChild.firstChild);
      row.remove();
      rows.delete(entry);
    }
    let next = list.firstChild;
    for (const [entry, place] of seen) {
      let row = rows.get(entry);
      if (!row) {
        row = $("row").content.firstElementChild.cloneNode(true);
        row.firstChild.firstChild.addEventListener("error", (event) => unreadable(event.target));
        rows.set(entry, row);
      }
      if (row === next) next = next.nextSibling; else list.insertBefore(row, next);
      if (row.place !== place || row.height !== height) {
        Object.assign(row, { place, height });
        row.style.transform = `translateY(${place * height}px)`;
        row.setAttribute("aria-posinset", place + 1);
      }
      if (row.of !== order.length) { row.of = order.length; row.setAttribute("aria-setsize", order.length); }
      fill(row, entry, now);
    }
  }

  function arrange() {
    entries.sort((one, other) => other.at - one.at);
    entries = entries.filter((entry, place) => {
      if (place < MOST || entry.local) return true;  // what is not in the bucket, this page alone knows
      byId.delete(entry.id);
      return false;
    });
    order = show === "all" ? entries : entries.filter((entry) => kindOf(entry) === show);
    reordered = false;
  }

  function drawCounts(now) {
    const counts = new Map(FILTERS.map(([kind]) => [kind, 0]));
    const reasons = new Map();
    let lately = 0, retriable = 0;
    for (const entry of entries) {
      const kind = kindOf(entry);
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
      if (entry.decided > now - 1000 * settings.rate_s) lately += 1;
      if (kind === "lost" && entry.mayRetry) retriable += 1;
      if (entry.reason && entry.confidence == null) reasons.set(entry.reason, (reasons.get(entry.reason) ?? 0) + 1);
    }
    counts.set("all", entries.length);
    for (const [kind, button] of buttons) {
      button.lastChild.textContent = number.format(counts.get(kind));
      button.setAttribute("aria-pressed", String(kind === show));
      button.hidden = kind === "lost" && !counts.get(kind) && show !== kind;
    }
    $("rate").textContent = (lately / settings.rate_s).toFixed(1);
    $("none").hidden = order.length > 0;
    if (entries.length) $("none").textContent = "None of these.";
    drawReasons([...reasons].sort((one, other) => other[1] - one[1]).slice(0, 8));
    $("again").hidden = !retriable;
    $("sending").hidden = !total;
    $("bar").max = Math.max(total, 1); $("bar").value = done;
    $("sent").textContent = total ? `${number.format(done)} of ${number.format(total)} uploaded` : "";
    return counts;
  }

  function drawReasons(found) {
    const text = JSON.stringify(found);
    if (drawReasons.text === text) return;
    drawReasons.text = text;
    $("reasons-card").hidden = !found.length;
    $("reasons").replaceChildren(...found.map(([reason, count]) => {
      const item = document.createElement("li"), many = document.createElement("b");
      many.textContent = number.format(count);
      item.append(reason, many);
      return item;
    }));
  }

  function say(counts, now) {
    if (now - saidAt < SAY_MS) return;
    const parts = FILTERS.slice(1).filter(([kind]) => counts.get(kind)).map(([kind, heading]) => `${number.format(counts.get(kind))} ${heading.toLowerCase()}`);
    const text = parts.join(", ");
    if ($("status").textContent === text) return;
    saidAt = now;
    $("status").textContent = text;
  }

  // ── confidence over time ─────────────────────────────────────────────────────────────────────────────────

  let minutes = 10;
  const spans = [...document.querySelectorAll("[data-minutes]")];
  for (const button of spans) button.addEventListener("click", () => {
    minutes = Number(button.dataset.minutes);
    for (const each of spans) each.setAttribute("aria-pressed", String(each === button));
    urgent = true; changed();
  });

  function drawChart(now) {
    const canvas = $("chart"), scale = devicePixelRatio, width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale);
    }
    const pen = canvas.getContext("2d"), style = getComputedStyle(document.body);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const left = 46, right = width - 4, top = 8, bottom = height - 20, from = now - 60000 * minutes;
    const x = (at) => left + (right - left) * (at - from) / (now - from);
    const y = (share) => bottom - (bottom - top) * share;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = `12px ${style.fontFamily}`;
    pen.textBaseline = "middle";
    for (const share of [0, .5, 1]) {
      pen.fillStyle = colour("line"); pen.fillRect(left, y(share), right - left, 1);
      pen.fillStyle = colour("muted"); pen.textAlign = "right"; pen.fillText(`${100 * share} %`, left - 5, y(share));
    }
    pen.textBaseline = "alphabetic";
    pen.textAlign = "left"; pen.fillText(minutes < 60 ? `${minutes} min ago` : `${minutes / 60} h ago`, left, height - 5);
    pen.textAlign = "right"; pen.fillText("now", right, height - 5);
    const thresholds = new Map();
    let shown = 0, above = 0;
    for (const { value, colour: name } of settings.outcomes) {
      pen.fillStyle = colour(name);
      pen.globalAlpha = .7;
      for (const entry of entries) {
        if (entry.outcome !== value || entry.confidence == null || entry.decided < from) continue;
        pen.fillRect(x(entry.decided) - 2, y(entry.confidence) - 2, 4, 4);  // ten times as fast as a circle
        thresholds.set(entry.threshold, (thresholds.get(entry.threshold) ?? 0) + 1);
        shown += 1; above += value === "accepted";
      }
    }
    pen.globalAlpha = 1;
    pen.setLineDash([5, 4]); pen.strokeStyle = colour("ink"); pen.lineWidth = 1.5;
    const most = [...thresholds].sort((one, other) => other[1] - one[1]).slice(0, 3).map(([threshold]) => threshold);
    for (const threshold of most) { pen.beginPath(); pen.moveTo(left, y(threshold)); pen.lineTo(right, y(threshold)); pen.stroke(); }
    pen.setLineDash([]);
    const named = most.map(percent).join(", ");
    $("chart-says").textContent = shown
      ? `${number.format(shown)} answers, ${percent(above / shown)} accepted. The dashed line is the threshold, ${named}.`
      : `No answer in the last ${minutes < 60 ? `${minutes} minutes` : minutes === 60 ? "hour" : "24 hours"}.`;
  }

  // ── frames ───────────────────────────────────────────────────────────────────────────────────────────────

  let waiting = false;
  function changed() { stale = true; frame(); }
  function frame() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }

  function draw() {
    const now = Date.now();
    if (stale && (urgent || now - drawnAt >= REDRAW_MS)) {
      if (reordered || show !== "all") arrange();
      say(drawCounts(now), now);
      drawChart(now);
      stale = urgent = false; drawnAt = now;
    } else if (stale) later ||= setTimeout(() => { later = 0; frame(); }, REDRAW_MS);
    drawRows(now);
  }

  addEventListener("scroll", frame, { passive: true });
  addEventListener("resize", () => { urgent = true; changed(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { urgent = true; changed(); });
  setInterval(changed, 1000);  // ages, and the chart's now
  changed();
  listen();
})();
