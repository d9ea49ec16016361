// Beside the form of a rule: the line, the sentences and the simulator, kept up to date as one types. The password is never sent for that.

const form = document.querySelector("#rule-form");
const preview = document.querySelector("#preview");
const PAUSE = 250;
let waiting = 0;
let asked = 0;

async function refresh() {
  const data = new FormData(form);
  data.delete("password");
  const ticket = ++asked;
  const answer = await fetch(form.dataset.preview, { method: "POST", body: data }).catch(() => null);
  if (!answer?.ok || answer.redirected || ticket !== asked) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  preview.replaceChildren(...page.body.childNodes);
}

function fillFromProvider(select) {
  const option = select.selectedOptions[0];
  const hint = document.querySelector("#id_provider_helptext");
  hint.dataset.plain ??= hint.textContent;
  hint.textContent = option.dataset.hint ?? hint.dataset.plain;
  if (!option.dataset.encryption) return;
  if (!option.dataset[form.elements.protocol.value]) form.elements.protocol.value = "imap";
  form.elements.server.value = option.dataset[form.elements.protocol.value];
  form.elements.encryption.value = option.dataset.encryption;
  form.elements.port.value = "";
}

const PORTS = { pop3: [110, 995], imap: [143, 993] };

function showUsualPort() {
  const { protocol, encryption, port } = form.elements;
  port.placeholder = PORTS[protocol.value][encryption.value === "ssl" ? 1 : 0];
}

form.addEventListener("input", (event) => {
  if (event.target.name === "provider") fillFromProvider(event.target);
  if (event.target.name === "protocol" && form.elements.provider.value) fillFromProvider(form.elements.provider);
  if (event.target.name === "keepdays") form.elements.treatment.value = "days";
  if (["keep", "flush", "fetchall"].includes(event.target.name)) form.elements.treatment.value = "own";
  showUsualPort();
  clearTimeout(waiting);
  waiting = setTimeout(refresh, PAUSE);
});

showUsualPort();
