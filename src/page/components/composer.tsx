/** Where people write. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { App } from "../state/app.ts";
import { currentChat, currentModel, type Taken, takenBy } from "../state/app_state.ts";
import { branchOf } from "../state/chat_tree.ts";
import { IMAGE_TYPES } from "../state/image_urls.ts";
import { SOUND_ACCEPT } from "../state/sound_urls.ts";
import { useApp, useAppState } from "./context.ts";
import { Icon, IconButton } from "./icon.tsx";
import { ImageRow } from "./images.tsx";
import { VoiceButton, VoiceRow } from "./voice.tsx";

export function Composer() {
  const app = useApp();
  const chatId = useAppState((state) => state.chatId);
  const isRunning = useAppState((state) => state.running !== null);
  const { images, reading } = useAppState((state) => state.draft);
  const takes = useAppState((state) => takenBy(currentModel(state)));
  const isSaying = useAppState((state) => state.voice !== null);
  const [text, setText] = useState("");
  const input = useRef<HTMLTextAreaElement>(null);
  useEffect(() => input.current?.focus(), [chatId]);
  useEffect(() => fit(input.current), [text]);
  useDictated((said) => {
    setText((before) => before.trim() === "" ? said : `${before.trimEnd()} ${said}`);
    input.current?.focus();
  });
  const isEmpty = text.trim() === "" && images.length === 0;
  const send = () => {
    // What is being read, or said, is to be in this message.
    if (isRunning || isEmpty || reading > 0 || isSaying) return;
    app.chats.send(text.trim(), images);
    app.images.clear();
    setText("");
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && text === "") editLast(app);
  };
  const onPaste = (event: ClipboardEvent) => {
    const files = pastedFiles(event);
    if (files.length === 0) return;
    event.preventDefault();
    app.images.attach(files);
  };
  const remove = (index: number) => {
    app.images.remove(index);
    input.current?.focus(); // the button that had it is gone
  };
  return (
    <footer class="composer-place">
      <form
        class="composer"
        onSubmit={(event) => (event.preventDefault(), send())}
      >
        <ImageRow images={images} reading={reading} onRemove={remove} />
        <VoiceRow onDiscard={() => input.current?.focus() /* its button is gone */} />
        <textarea
          id="message"
          ref={input}
          rows={1}
          placeholder="Write a message"
          aria-label="Your message"
          autocomplete="off"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={onKeyDown}
          onPaste={onPaste}
        />
        {takes !== null && <AttachButton takes={takes} />}
        <VoiceButton />
        {isRunning ? <StopButton /> : <SendButton isEmpty={isEmpty || reading > 0 || isSaying} />}
      </form>
      <p class="hint">Everything stays on this machine. Answers can be wrong.</p>
    </footer>
  );
}

/** Edits the message that was sent last. */
function editLast({ store }: App): void {
  const chat = currentChat(store.state);
  const last = chat && branchOf(chat).findLast(({ role }) => role === "user");
  if (last && store.state.running === null) store.set({ editingId: last.id });
}

/** Takes what was said and is to be a part of the text, once. */
function useDictated(take: (said: string) => void): void {
  const app = useApp();
  const dictated = useAppState((state) => state.dictated);
  useEffect(() => {
    if (dictated === "") return;
    take(dictated);
    app.store.set({ dictated: "" });
  }, [dictated]);
}

/** What is pasted, where that is files. */
function pastedFiles({ clipboardData }: ClipboardEvent): readonly File[] {
  // Programs that copy text put a picture of it beside it.
  return clipboardData?.types.includes("text/plain") ? [] : [...clipboardData?.files ?? []];
}

const ACCEPTED: Readonly<Record<Taken, string>> = {
  "images": IMAGE_TYPES.join(),
  "sounds": SOUND_ACCEPT,
  "images and sounds": `${IMAGE_TYPES.join()},${SOUND_ACCEPT}`,
};

function AttachButton({ takes }: { readonly takes: Taken }) {
  const app = useApp();
  const file = useRef<HTMLInputElement>(null);
  return (
    <>
      <IconButton
        icon={takes === "sounds" ? "sound" : "image"}
        label={`Attach ${takes}`}
        onClick={() => file.current?.click()}
      />
      <input
        ref={file}
        type="file"
        accept={ACCEPTED[takes]}
        multiple
        hidden
        aria-label={`Files of ${takes}`}
        onChange={(event) => {
          const input = event.currentTarget;
          app.images.attach([...input.files ?? []]);
          input.value = "";
        }}
      />
    </>
  );
}

function SendButton({ isEmpty }: { isEmpty: boolean }) {
  return (
    <button
      type="submit"
      class="round"
      aria-label="Send message"
      title="Send (Enter)"
      disabled={isEmpty}
    >
      <Icon name="send" />
    </button>
  );
}

function StopButton() {
  const app = useApp();
  return (
    <button
      type="button"
      class="round stop"
      aria-label="Stop the answer"
      title="Stop (Esc)"
      onClick={() => app.chats.stop()}
    >
      <Icon name="stop" />
    </button>
  );
}

/** As high as its text, within bounds of the style. */
function fit(area: HTMLTextAreaElement | null): void {
  if (area === null) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}
