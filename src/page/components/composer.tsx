/** Where people write. */
import { useEffect, useRef, useState } from "preact/hooks";
import { currentChat } from "../state/app_state.ts";
import { branchOf } from "../state/chat_tree.ts";
import { useApp, useAppState } from "./context.ts";
import { Icon } from "./icon.tsx";

export function Composer() {
  const app = useApp();
  const chatId = useAppState((state) => state.chatId);
  const isRunning = useAppState((state) => state.running !== null);
  const [text, setText] = useState("");
  const input = useRef<HTMLTextAreaElement>(null);
  useEffect(() => input.current?.focus(), [chatId]);
  useEffect(() => fit(input.current), [text]);
  const send = () => {
    if (isRunning || text.trim() === "") return;
    app.chats.send(text.trim());
    setText("");
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && text === "") {
      const chat = currentChat(app.store.state);
      const last = chat && branchOf(chat).findLast(({ role }) => role === "user");
      if (last && !isRunning) app.store.set({ editingId: last.id });
    }
  };
  return (
    <footer class="composer-place">
      <form
        class="composer"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
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
        />
        {isRunning ? <StopButton /> : <SendButton isEmpty={text.trim() === ""} />}
      </form>
      <p class="hint">Everything stays on this machine. Answers can be wrong.</p>
    </footer>
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
