// Beside the form of a rule: the line, the sentences and the simulator, kept up to date as one types. The password is
// never sent for that.

import { isInUse, sendForm } from "./fragment.js";

const form = document.querySelector("#rule-form");
const preview = document.querySelector("#preview");
const PAUSE = 250;
let waiting = 0;
let asked = 0;

async function refresh() {
  const data = new FormData(form);
  data.delete("password");
  const ticket = ++asked;
  const page = await sendForm(form.dataset.preview, data);
  if (!page || ticket !== asked) return;
  showFormer(page.querySelector("#former"));
  preview.replaceChildren(...page.body.childNodes);
}

// What is asked of ledgers stands in the form itself; it stays while somebody is answering.
function showFormer(asked) {
  asked.remove();
  const shown = document.querySelector("#former");
  if (!isInUse(shown)) shown.replaceChildren(...asked.childNodes);
}

function fill(field, value) {
  field.value = value;
  forgive(field);
}

function fillFromProvider(select) {
  const option = select.selectedOptions[0];
  const hint = document.querySelector("#id_provider_helptext");
  hint.dataset.plain ??= hint.textContent;
  hint.textContent = option.dataset.hint ?? hint.dataset.plain;
  if (!option.dataset.encryption) return;
  if (!option.dataset[form.elements.protocol.value]) form.elements.protocol.value = "imap";
  fill(form.elements.server, option.dataset[form.elements.protocol.value]);
  form.elements.encryption.value = option.dataset.encryption;
  form.elements.port.value = "";
}

function showUsualPort() {
  const { protocol, encryption, port } = form.elements;
  port.placeholder = port.dataset[protocol.value + (encryption.value === "ssl" ? "s" : "")];
}

// What was held against a field is taken back as soon as it is mended.
function forgive(field) {
  field.removeAttribute("aria-invalid");
  field.closest(".row")?.querySelector(`#${field.id}_error`)?.remove();
  for (const link of form.querySelectorAll(`.complaints a[href="#${field.id}"]`)) {
    const complaints = link.closest(".complaints");
    link.closest("li").remove();
    if (!complaints.querySelector("li")) complaints.remove();
  }
}

form.addEventListener("input", (event) => {
  forgive(event.target);
  if (event.target.name === "provider") fillFromProvider(event.target);
  if (event.target.name === "protocol" && form.elements.provider.value) fillFromProvider(form.elements.provider);
  if (event.target.name === "keepdays") form.elements.treatment.value = "days";
  if (event.target.name === "since") form.elements.present.value = "since";
  if (["keep", "flush", "fetchall"].includes(event.target.name)) form.elements.treatment.value = "own";
  showUsualPort();
  clearTimeout(waiting);
  waiting = setTimeout(refresh, PAUSE);
});

const trial = document.querySelector("#trial");

async function tryConnection(button) {
  const data = new FormData(form);
  data.set("test", "1");
  data.set("fragment", "1");
  const words = button.lastChild.textContent;
  button.disabled = true;
  button.lastChild.textContent = button.dataset.busy;
  const page = await sendForm(form.action, data);
  button.disabled = false;
  button.lastChild.textContent = words;
  if (!page) return;
  trial.replaceChildren(...page.body.childNodes);
  if (trial.querySelector(".steps")) form.querySelectorAll("[aria-invalid]").forEach(forgive);
  offerChoices();
  trial.scrollIntoView({ block: "nearest" });
}

function offerChoices() {
  for (const button of trial.querySelectorAll("[data-pin], [data-folder]")) button.hidden = false;
}

function fillIn(field, value) {
  field.value = value;
  field.closest("details").open = true;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function addLine(field, line) {
  const lines = field.value.split("\n").map((one) => one.trim()).filter(Boolean);
  if (!lines.includes(line)) fillIn(field, [...lines, line].join("\n"));
}

function pin(button) {
  addLine(form.elements.sslfingerprint, button.dataset.pin);
  form.elements.sslfingerprint.focus();
}

function addFolder(button) {
  addLine(form.elements.folders, button.dataset.folder);
  button.disabled = true;
}

document.querySelector("button[name=test]").addEventListener("click", (event) => {
  event.preventDefault();
  tryConnection(event.currentTarget);
});

trial.addEventListener("click", (event) => {
  const button = event.target.closest("[data-pin], [data-folder]");
  if (button?.dataset.pin) pin(button);
  if (button?.dataset.folder) addFolder(button);
});

offerChoices();
showUsualPort();
