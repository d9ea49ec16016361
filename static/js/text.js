// The text box: line numbers, colours, and checks that leave what was typed where it is.

import { sendForm } from "./fragment.js";

const form = document.querySelector("#text-form");
const check = document.querySelector("#check");
const editor = form.querySelector(".editor");
const area = editor?.querySelector("textarea");

let findings = [];

function readFindings() {
  for (const fix of check.querySelectorAll("[data-fix]")) fix.hidden = false;
  findings = [...check.querySelectorAll("[data-line]")].map((item) => ({
    line: Number(item.dataset.line),
    column: Number(item.dataset.column),
    length: Number(item.dataset.length),
    tone: item.classList.contains("bad") ? "wrong" : "doubtful",
  }));
}

function span(text, tone) {
  const element = document.createElement("span");
  element.className = tone;
  element.textContent = text;
  return element;
}

function paintLine(text, number) {
  const found = findings.find((finding) => finding.line === number);
  if (!found) return [/^\s*#/.test(text) ? span(text, "comment") : text];
  if (!found.column) return [span(text || " ", found.tone)];
  const start = found.column - 1;
  const end = start + found.length;
  return [text.slice(0, start), span(text.slice(start, end) || " ", found.tone), text.slice(end)];
}

function paintNumber(number) {
  const found = findings.find((finding) => finding.line === number);
  return found ? span(String(number), found.tone) : String(number);
}

function paint() {
  const lines = area.value.split("\n");
  const numbers = lines.flatMap((_, index) => [paintNumber(index + 1), "\n"]);
  editor.querySelector(".gutter").replaceChildren(...numbers);
  const pieces = lines.flatMap((line, index) => [...paintLine(line, index + 1), "\n"]);
  editor.querySelector(".backdrop").replaceChildren(...pieces);
  editor.classList.add("painted");
  area.rows = Math.max(lines.length + 1, 14);
  area.cols = Math.max(...lines.map((line) => line.length), 20) + 2;
}

function showLine(number) {
  const lines = area.value.split("\n");
  const start = lines.slice(0, number - 1).reduce((sum, line) => sum + line.length + 1, 0);
  const found = findings.find((finding) => finding.line === number);
  const from = found?.column ? start + found.column - 1 : start;
  area.focus();
  area.setSelectionRange(from, found?.column ? from + found.length : start + (lines[number - 1] ?? "").length);
  bringIntoView(number);
}

function bringIntoView(number) {
  const height = area.scrollHeight / area.rows;
  const bottom = editor.scrollTop + editor.clientHeight;
  const seen = (number - 1) * height > editor.scrollTop && (number + 1) * height < bottom;
  if (!seen) editor.scrollTop = Math.max(0, (number - 6) * height);
}

async function askServer() {
  const data = new FormData(form);
  data.set("do", "check");
  data.set("fragment", "1");
  data.delete("file");
  data.delete("fetched");
  const page = await sendForm(form.action, data);
  if (!page) return false;
  check.replaceChildren(...page.body.childNodes);
  check.classList.remove("stale");
  readFindings();
  paint();
  const wrong = findings.find((finding) => finding.tone === "wrong");
  if (wrong) bringIntoView(wrong.line);
  return true;
}

if (area) {
  readFindings();
  paint();
  area.addEventListener("input", () => {
    findings = [];
    check.classList.add("stale");
    paint();
  });
  check.addEventListener("click", (event) => {
    const item = event.target.closest("[data-line]");
    const fix = event.target.closest("[data-fix]");
    if (item && fix) {
      showLine(Number(item.dataset.line));
      area.setRangeText(fix.dataset.fix, area.selectionStart, area.selectionEnd, "end");
      paint();
      askServer();
      return;
    }
    if (!item || !event.target.closest("a")) return;
    event.preventDefault();
    showLine(Number(item.dataset.line));
  });
  check.addEventListener("change", (event) => {
    const { type, value } = event.target;
    const said = type === "checkbox" || (type === "radio" && value !== "since");
    if (said && check.querySelector(".diff")) askServer();
  });
  check.addEventListener("input", (event) => {
    if (event.target.name === "since") form.elements.present.value = "since";
  });
  form.querySelector("button[value=check]").addEventListener("click", async (event) => {
    event.preventDefault();
    if (await askServer()) check.scrollIntoView({ block: "nearest" });
  });
  const apply = form.querySelector("button[value=apply]");
  let sure = false;
  apply.addEventListener("click", async (event) => {
    if (sure) return;
    event.preventDefault();
    const [version, told] = [form.elements.version.value, form.elements.told?.value];
    const answered = await askServer();
    const same = form.elements.version.value === version && form.elements.told?.value === told;
    sure = !answered || (!check.querySelector(".findings .bad") && same);
    if (sure) form.requestSubmit(apply);
    else check.scrollIntoView({ block: "nearest" });
  });
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) askServer();
  });
  form.querySelector("input[name=file]").addEventListener("change", () => {
    form.requestSubmit(form.querySelector("button[value=check]"));
  });
}
