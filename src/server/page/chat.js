"use strict";
/**
 * The chat page's behaviour: one conversation, kept in this page only. Whatever a model or a person
 * wrote is shown with textContent, never as HTML.
 */

const $ = (id) => document.getElementById(id);
const input = $("input");
const log = $("log");
const scroller = $("scroll");

/** The conversation: { role, content }, without the system prompt. */
let messages = [];
/** The answer under way: { abort: AbortController }, or null. */
let running = null;

// ---- settings ----------------------------------------------------------------------------------

const SETTINGS_KEY = "ganglion.settings";
const DEFAULTS = { system: "", temperature: 0.8, maxTokens: null, theme: "" };
let settings = loadSettings();

function loadSettings() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(SETTINGS_KEY) ?? "{}") };
  } catch {
    return { ...DEFAULTS };
  }
}

function saveSettings(changed) {
  settings = { ...settings, ...changed };
  try {
    localStorage.setItem(SETTINGS_KEY, JSON.stringify(settings));
  } catch {
    // A browser that keeps nothing still chats.
  }
  showSettings();
}

function showSettings() {
  if (document.activeElement !== $("system")) $("system").value = settings.system;
  $("temperature").value = String(settings.temperature);
  $("temperature-value").textContent = Number(settings.temperature).toFixed(2);
  if (document.activeElement !== $("max-tokens")) $("max-tokens").value = settings.maxTokens ?? "";
  $("theme").value = settings.theme;
  document.documentElement.dataset.theme = settings.theme;
}

$("open-settings").addEventListener("click", () => $("settings").showModal());
$("reset-settings").addEventListener("click", () => saveSettings(DEFAULTS));
$("system").addEventListener("input", (event) => saveSettings({ system: event.target.value }));
$("temperature").addEventListener("input", (event) => {
  saveSettings({ temperature: Number(event.target.value) });
});
$("max-tokens").addEventListener("input", (event) => {
  const count = Number.parseInt(event.target.value, 10);
  saveSettings({ maxTokens: count >= 1 ? count : null });
});
$("theme").addEventListener("change", (event) => saveSettings({ theme: event.target.value }));

// ---- the server --------------------------------------------------------------------------------

function showStatus(state, text) {
  $("status").dataset.state = state;
  $("status-text").textContent = text;
}

/** Fetches with the key of this tab's session; asks for one where the server wants it. */
async function fetchWithKey(path, init = {}) {
  const key = sessionStorage.getItem("key");
  const headers = { ...init.headers, ...key && { authorization: `Bearer ${key}` } };
  const response = await fetch(path, { ...init, headers });
  const given = response.status === 401 && prompt("This server asks for an API key:");
  if (given) sessionStorage.setItem("key", given.trim());
  return given ? fetchWithKey(path, init) : response;
}

/** Waits until a model is loaded, then names it. */
async function connect() {
  for (;;) {
    try {
      const health = await fetch("/health");
      if (health.ok) break;
      showStatus("loading", "Loading model…");
    } catch {
      showStatus("lost", "No connection");
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const { data = [] } = await (await fetchWithKey("/v1/models")).json();
  const choice = $("model");
  choice.replaceChildren(...data.map(({ id }) => new Option(id, id)));
  choice.hidden = data.length < 2;
  showStatus("ready", data.length === 1 ? data[0].id : "");
}

/** The data of each event of a response, as it comes. */
async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    held += value;
    const events = held.split("\n\n");
    held = events.pop();
    for (const event of events) {
      if (!event.startsWith("data: ")) continue;
      const data = event.slice(6);
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

/** The chunks of an answer to the conversation. Throws an Error with words for people. */
async function* ask(conversation, signal) {
  const system = settings.system.trim();
  const response = await fetchWithKey("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    signal,
    body: JSON.stringify({
      model: $("model").value || undefined,
      messages: system ? [{ role: "system", content: system }, ...conversation] : conversation,
      stream: true,
      temperature: settings.temperature,
      max_tokens: settings.maxTokens ?? undefined,
    }),
  });
  if (!response.ok) {
    const { error } = await response.json().catch(() => ({ error: null }));
    throw new Error(error?.message ?? `The server answered ${response.status}`);
  }
  let isComplete = false;
  for await (const event of readEvents(response)) {
    if (event.error) throw new Error(event.error.message);
    isComplete ||= Boolean(event.choices[0]?.finish_reason);
    yield event;
  }
  if (!isComplete) throw new Error("The connection was lost before the answer ended");
}

// ---- showing messages --------------------------------------------------------------------------

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function quietButton(label, onClick) {
  const button = element("button", "quiet", label);
  button.type = "button";
  button.addEventListener("click", onClick);
  return button;
}

function copyButton(textOf) {
  const button = quietButton("Copy", async () => {
    try {
      await navigator.clipboard.writeText(textOf());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Cannot copy";
    }
    setTimeout(() => button.textContent = "Copy", 1500);
  });
  return button;
}

/** Prose and fenced code, in order: { code: boolean, language, text }. */
function segmentsOf(text) {
  const segments = [];
  let open = null;
  for (const line of text.split("\n")) {
    const fence = /^\s*```\s*([^`]*)$/.exec(line);
    if (fence && open?.code) open = null;
    else if (fence) segments.push(open = { code: true, language: fence[1].trim(), lines: [] });
    else {
      if (!open) segments.push(open = { code: false, language: "", lines: [] });
      open.lines.push(line);
    }
  }
  return segments
    .map(({ code, language, lines }) => ({ code, language, text: lines.join("\n") }))
    .filter(({ code, text }) => code || text.trim() !== "");
}

function segmentElement({ code, language }) {
  if (!code) return element("div", "prose");
  const block = element("div", "block");
  const header = document.createElement("header");
  const pre = document.createElement("pre");
  // A reader of the keyboard has to be able to scroll it.
  pre.tabIndex = 0;
  pre.append(document.createElement("code"));
  header.append(element("span", "", language || "code"), copyButton(() => pre.textContent));
  block.append(header, pre);
  return block;
}

/** Shows `text` in `target`, touching only what has changed since the last time. */
function showText(target, text) {
  const segments = segmentsOf(text);
  segments.forEach((segment, index) => {
    let shown = target.children[index];
    if (shown?.classList.contains("block") !== segment.code) {
      const made = segmentElement(segment);
      if (shown) shown.replaceWith(made);
      else target.append(made);
      shown = made;
    }
    const leaf = segment.code ? shown.querySelector("code") : shown;
    // Prose is shown without its outer lines, and an answer without the space that it begins with.
    const prose = segment.text.replace(/^\n+|\n+$/g, "");
    const content = segment.code ? segment.text : index === 0 ? prose.trimStart() : prose;
    if (leaf.textContent !== content) leaf.textContent = content;
    if (segment.code) shown.querySelector("span").textContent = segment.language || "code";
  });
  while (target.children.length > segments.length) target.lastElementChild.remove();
}

/** Runs `change`, and stays at the end of the conversation if the reader was there. */
function keepingEnd(change) {
  const isAtEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
  change();
  if (isAtEnd) scroller.scrollTop = scroller.scrollHeight;
}

function addMessage(role, content) {
  const message = element("article", `message ${role}`);
  message.setAttribute("aria-label", role === "user" ? "You" : "Answer");
  const text = element("div", "text");
  message.append(text);
  showText(text, content);
  log.append(message);
  return { message, text };
}

// ---- the conversation --------------------------------------------------------------------------

function speedText(tokens, perSecond) {
  const speed = perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toFixed(1);
  return `${tokens} token${tokens === 1 ? "" : "s"} · ${speed} tokens/s`;
}

/** How fast the answer came: as the server measured it, or as it looked from here. */
function factsOf({ timings, chunks, firstMs, note }) {
  const facts = [];
  if (timings) {
    facts.push(
      speedText(timings.predicted_n, timings.predicted_per_second),
      `prompt ${timings.prompt_n + timings.cache_n} in ${(timings.prompt_ms / 1000).toFixed(2)} s`,
    );
  } else if (chunks > 4) {
    facts.push(speedText(chunks, (chunks - 1) / (performance.now() - firstMs) * 1000));
  }
  if (note) facts.push(note);
  return facts.join(" · ");
}

function setRunning(value) {
  running = value;
  document.body.classList.toggle("busy", value !== null);
  $("send").setAttribute("aria-label", value ? "Stop the answer" : "Send message");
  $("send").title = value ? "Stop (Esc)" : "Send (Enter)";
  log.setAttribute("aria-busy", String(value !== null));
  showSendable();
}

function showSendable() {
  $("send").disabled = running === null && input.value.trim() === "";
}

/** Reads the answer to `conversation` into `progress`, and calls `onText` when there is more. */
async function readAnswer(progress, { conversation, signal, onText }) {
  try {
    for await (const event of ask(conversation, signal)) {
      const choice = event.choices[0];
      progress.timings = event.timings ?? progress.timings;
      if (choice?.finish_reason === "length") progress.note = "cut at the longest length";
      if (!choice?.delta.content) continue;
      progress.content += choice.delta.content;
      if (progress.chunks++ === 0) progress.firstMs = performance.now();
      onText();
    }
  } catch (error) {
    if (signal.aborted) progress.note = "stopped";
    else progress.failure = error;
  }
}

/** Answers the conversation as it stands. */
async function answer() {
  const abort = new AbortController();
  const conversation = messages;
  setRunning({ abort });
  const { message, text } = addMessage("assistant", "");
  const facts = element("div", "facts");
  facts.append(element("span", ""));
  message.append(facts);
  message.classList.add("streaming");
  scroller.scrollTop = scroller.scrollHeight;
  const progress = {
    content: "",
    chunks: 0,
    firstMs: 0,
    timings: null,
    note: "",
    failure: null,
  };
  const show = () =>
    keepingEnd(() => {
      showText(text, progress.content);
      facts.firstElementChild.textContent = factsOf(progress);
    });
  let frame = 0;
  const onText = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      show();
    });
  };
  await readAnswer(progress, { conversation, signal: abort.signal, onText });
  cancelAnimationFrame(frame);
  message.classList.remove("streaming");
  // A conversation that was left behind while it was answered is shown no more.
  if (messages !== conversation) return;
  const { content, failure } = progress;
  if (content !== "") messages = [...messages, { role: "assistant", content }];
  show();
  keepingEnd(() => {
    if (failure) {
      const alert = element("div", "failure", failure.message);
      alert.setAttribute("role", "alert");
      facts.before(alert);
    }
    if (content !== "") facts.append(copyButton(() => content));
    facts.append(quietButton("Try again", () => tryAgain(message, conversation)));
  });
  setRunning(null);
}

function tryAgain(message, conversation) {
  if (running) return;
  while (message.nextElementSibling) message.nextElementSibling.remove();
  message.remove();
  messages = conversation;
  answer();
}

function send(content) {
  if (content.trim() === "" || running) return;
  // What was never answered is asked no more: many models refuse two questions in a row.
  const answered = messages.at(-1)?.role === "user" ? messages.slice(0, -1) : messages;
  messages = [...answered, { role: "user", content }];
  $("welcome").hidden = true;
  addMessage("user", content);
  input.value = "";
  answer();
}

function newChat() {
  running?.abort.abort();
  messages = [];
  log.replaceChildren();
  $("welcome").hidden = false;
  setRunning(null);
  input.focus();
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) running.abort.abort();
  else send(input.value);
});
input.addEventListener("input", showSendable);
input.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send(input.value);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("settings").open) running?.abort.abort();
});
$("new-chat").addEventListener("click", newChat);
for (const button of $("suggestions").children) {
  button.addEventListener("click", () => {
    input.value = button.textContent;
    input.focus();
    showSendable();
  });
}

showSettings();
showSendable();
connect();
