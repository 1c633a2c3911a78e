// The pages' one script: live results, rows added, files sent, progress, printing. Every page but the
// upload works without it.
"use strict";

const csrf = document.querySelector("meta[name=csrf]").content;
const get = (url) => fetch(url, { headers: { Accept: "application/json" } });

// A form whose result follows what is typed

const live = document.querySelector("form[data-live]");
const result = document.getElementById("result");
let timer = 0;
let latest = 0;

function typed(form) {
  const pairs = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") pairs.append(name, value);
  return pairs;
}

async function refresh() {
  const number = ++latest;
  const query = typed(live);
  history.replaceState(null, "", query.size ? "?" + query : location.pathname);
  const answer = await get(live.dataset.live + "?" + query).catch(() => null);
  if (!answer || !answer.ok || number !== latest) return;
  const told = await answer.json();
  result.innerHTML = told.html;
  for (const field of live.querySelectorAll("[data-field]")) note(field, told.fields[field.dataset.field]);
  if ("slider" in told) moveSlider(told.slider);
}

function note(field, told) {
  if (!told) return;
  field.classList.toggle("wrong", told.error !== "");
  field.classList.toggle("unasked", !told.asked);
  field.querySelector("[data-note]").textContent = told.error || (told.echo ? "= " + told.echo : "");
  const input = field.querySelector("input, select");
  if (told.error) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, 180);
}

if (live) {
  live.addEventListener("input", (event) => {
    if (event.target.matches("[data-slider]")) slide(event.target);
    soon();
  });
  live.addEventListener("submit", (event) => {
    event.preventDefault();
    refresh().then(() => result.scrollIntoView({ block: "nearest" }));
  });
}

// Rows of related records

function number(record) {
  record.querySelectorAll("[data-number]").forEach((place, at) => (place.textContent = at + 1));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button, a");
  if (!button) return;
  if (button.matches("[data-add]")) {
    const record = button.closest("[data-record]");
    const blank = document.querySelector(`template[data-blank="${button.dataset.add}"]`);
    const holder = document.createElement("div");
    holder.innerHTML = blank.innerHTML.replaceAll("__n__", record.dataset.next);
    record.dataset.next = Number(record.dataset.next) + 1;
    const row = holder.firstElementChild;
    record.querySelector("[data-rows]").append(row);
    number(record);
    row.querySelector("select, input:not([type=hidden])").focus();
    soon();
  } else if (button.matches("[data-remove]")) {
    const record = button.closest("[data-record]");
    button.closest("[data-row]").remove();
    number(record);
    record.querySelector("[data-add]").focus();
    soon();
  } else if (button.matches("[data-print]")) {
    window.print();
  } else if (button.matches("[data-copy-link]")) {
    copy(location.href).then(() => (button.textContent = button.dataset.done));
  } else if (button.matches("[data-focus]")) {
    const input = document.querySelector(`[name="${button.dataset.focus}"]`);
    if (input) {
      event.preventDefault();
      input.focus();
    }
  } else if (button.matches("[data-set]")) {
    live.elements[button.dataset.set].value = button.dataset.value;
    refresh();
  }
});

addEventListener("beforeprint", () => {
  // what is folded away would be missing on paper; lists within a cell would only swell it
  document.querySelectorAll("details:not([open]):not(td details)").forEach((part) => {
    part.open = true;
    part.dataset.folded = "";
  });
});
addEventListener("afterprint", () => {
  document.querySelectorAll("details[data-folded]").forEach((part) => {
    part.open = false;
    delete part.dataset.folded;
  });
});

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea"); // a server reached without https has no clipboard
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

document.querySelectorAll("[data-submit]").forEach((input) => input.addEventListener("change", () => input.form.submit()));

// The slider of a moved fact

function slide(slider) {
  live.elements[live.elements.fact.value].value = slider.value + slider.dataset.unit;
}

function moveSlider(told) {
  const slider = live.querySelector("[data-slider]");
  live.querySelector("[data-slider-field]").hidden = !told;
  const chosen = live.elements.fact.selectedOptions[0];
  live.querySelector("[data-slider-label]").textContent = chosen ? chosen.textContent : "";
  if (!told || document.activeElement === slider) return;
  Object.assign(slider, { min: told.min, max: told.max, step: told.step });
  slider.value = told.value || told.min;
  slider.dataset.unit = told.unit;
}

// Sending a file

const drop = document.querySelector("form[data-upload]");
if (drop) {
  const picker = drop.querySelector("input[type=file]");
  const bar = drop.querySelector("progress");
  const message = drop.querySelector("[data-message]");
  const say = (text) => {
    message.textContent = text;
    message.hidden = text === "";
    bar.hidden = text !== "";
  };
  const send = () => {
    const file = picker.files[0];
    if (!file) return picker.click();
    say("");
    if (file.size > Number(drop.dataset.limit)) return say(drop.dataset.tooLarge);
    const request = new XMLHttpRequest();
    request.open("POST", drop.dataset.upload + "?" + new URLSearchParams({
      filename: file.name, policy: drop.dataset.policy, record: drop.dataset.record || "", day: drop.elements.day.value,
      period: drop.elements.period ? drop.elements.period.value : "",
    }));
    request.setRequestHeader("X-CSRF-Token", csrf);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => (bar.value = event.loaded / event.total);
    request.onerror = () => say(drop.dataset.broken);
    request.onload = () => {
      let told = {};
      try {
        told = JSON.parse(request.responseText);
      } catch {
        return say(drop.dataset.broken);
      }
      if (request.status === 202) location.href = told.location;
      else say(told.detail || told.title || drop.dataset.broken);
    };
    request.send(file);
  };
  drop.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  picker.addEventListener("change", () => picker.files.length && send());
  for (const name of ["dragover", "dragenter"])
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    picker.files = event.dataTransfer.files;
    if (picker.files.length) send();
  });
}

// Why a row of a batch came to its result, over the grid

const why = document.getElementById("why");
if (why) {
  document.getElementById("results").addEventListener("click", async (event) => {
    const row = event.target.closest("tr");
    const link = row && row.querySelector("[data-why]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || String(getSelection())) return;
    event.preventDefault();
    const answer = await fetch(link.href + "?part=true").catch(() => null);
    if (!answer || !answer.ok) return (location.href = link.href);
    why.querySelector("[data-reasons]").innerHTML = await answer.text();
    why.showModal();
    why.scrollTop = 0;
  });
  why.addEventListener("click", (event) => event.target === why && why.close());
}

// Columns corrected: a unit that fits the field, and a field for one column only

for (const table of document.querySelectorAll("[data-mapping]")) {
  table.addEventListener("change", (event) => {
    if (!event.target.matches("[data-field-of-column]")) return;
    fitUnits(event.target);
    for (const other of table.querySelectorAll("[data-field-of-column]"))
      if (other !== event.target && other.value !== "" && other.value === event.target.value) {
        other.value = "";
        fitUnits(other);
      }
  });
  // A choice made before this ran, or brought back with the page, has units of its own as well.
  for (const field of table.querySelectorAll("[data-field-of-column]"))
    if (field.selectedOptions[0] !== (field.querySelector("option[selected]") ?? field.options[0])) fitUnits(field);
}

function fitUnits(field) {
  const unit = field.closest("tr").querySelector("[data-unit-of-column]");
  const units = JSON.parse(field.selectedOptions[0].dataset.units);
  unit.replaceChildren(new Option(unit.dataset.asWritten, ""), ...units.map(([value, label]) => new Option(label, value)));
  unit.hidden = unit.disabled = units.length < 2;
  field.closest("tr").querySelectorAll("[data-only-unit], .guess").forEach((note) => note.remove());
}

// Following a batch

const waiting = document.querySelector("[data-progress]");
if (waiting) {
  const bar = waiting.querySelector("progress");
  const follow = async () => {
    const answer = await get(waiting.dataset.progress).catch(() => null);
    if (answer && answer.ok) {
      const told = await answer.json();
      if (told.state === "done" || told.state === "failed") return location.reload();
      waiting.querySelector("[data-words]").textContent = told.words + "……" + (told.total ? ` ${told.done} / ${told.total}` : "");
      if (told.total) bar.value = told.done / told.total;
    }
    setTimeout(follow, 400);
  };
  follow();
}
