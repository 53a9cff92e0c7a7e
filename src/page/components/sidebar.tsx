/** The chats: a new one, a search, all of them, out and in as files. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { searchChats } from "../state/chat_tree.ts";
import type { Chat } from "../types.ts";
import { useApp, useAppState } from "./context.ts";
import { Icon, IconButton, Mark } from "./icon.tsx";
import { startChat } from "./shortcuts.ts";

const DAY_MS = 24 * 60 * 60_000;

export function Sidebar() {
  const app = useApp();
  const query = useAppState((state) => state.query);
  // Not the chats themselves: one that is being answered changes all the time.
  const state = useAppState(({ chats }) =>
    chats.map(({ id, title, updatedMs }) => `${id} ${updatedMs} ${title}`).join("\n")
  );
  const found = useMemo(() => searchChats(app.store.state.chats, query), [state, query]);
  const close = () => app.store.set({ isSidebarOpen: false });
  return (
    <>
      <div class="shade" onClick={close} />
      <aside class="sidebar" aria-label="Chats">
        <div class="sidebar-head">
          <h1>
            <Mark /> Ganglion
          </h1>
          <IconButton icon="close" label="Hide chats" kind="narrow-only" onClick={close} />
        </div>
        <button type="button" class="new-chat" onClick={() => startChat(app)}>
          <Icon name="plus" /> New chat
        </button>
        <div class="search">
          <Icon name="search" />
          <input
            id="search"
            type="search"
            placeholder="Search chats"
            aria-label="Search chats"
            value={query}
            onInput={(event) => app.store.set({ query: event.currentTarget.value })}
          />
        </div>
        <nav class="chats" aria-label="Chats">
          {found.length === 0 && (
            <p class="faint">{query === "" ? "No chats yet." : "Nothing found."}</p>
          )}
          {groupsOf(found).map(([name, some]) => (
            <section key={name} aria-label={name}>
              <h2>{name}</h2>
              <ul>{some.map((chat) => <ChatRow key={chat.id} chat={chat} />)}</ul>
            </section>
          ))}
        </nav>
        <SidebarFoot />
      </aside>
    </>
  );
}

function SidebarFoot() {
  const app = useApp();
  const file = useRef<HTMLInputElement>(null);
  const isEmpty = useAppState((state) => state.chats.length === 0);
  return (
    <div class="sidebar-foot">
      <button type="button" class="quiet" disabled={isEmpty} onClick={() => app.chats.export()}>
        <Icon name="export" /> Export
      </button>
      <button type="button" class="quiet" onClick={() => file.current?.click()}>
        <Icon name="import" /> Import
      </button>
      <input
        ref={file}
        type="file"
        accept="application/json,.json"
        hidden
        aria-label="File with chats"
        onChange={async (event) => {
          const input = event.currentTarget;
          if (input.files?.[0]) await app.chats.import(input.files[0]);
          input.value = "";
        }}
      />
    </div>
  );
}

function ChatRow({ chat }: { chat: Chat }) {
  const app = useApp();
  const isCurrent = useAppState((state) => state.chatId === chat.id);
  const isRunning = useAppState((state) => state.running?.chatId === chat.id);
  const [isRenaming, setRenaming] = useState(false);
  if (isRenaming) {
    const end = (title: string) => (app.chats.rename(chat.id, title), setRenaming(false));
    return (
      <li class="chat-row">
        <TitleInput title={chat.title} onEnd={end} />
      </li>
    );
  }
  return (
    <li class={`chat-row${isCurrent ? " is-current" : ""}`}>
      <button
        type="button"
        class="chat-title"
        aria-current={isCurrent ? "true" : undefined}
        title={chat.title}
        onClick={() => app.chats.open(chat.id)}
        onDblClick={() => setRenaming(true)}
      >
        {isRunning && <span class="dot busy" aria-label="Answering" role="img" />}
        <span>{chat.title}</span>
      </button>
      <span class="row-actions">
        <IconButton
          icon="edit"
          kind="small"
          label={`Rename ${chat.title}`}
          onClick={() => setRenaming(true)}
        />
        <IconButton
          icon="bin"
          kind="small"
          label={`Delete ${chat.title}`}
          onClick={() => app.chats.remove(chat.id)}
        />
      </span>
    </li>
  );
}

function TitleInput({ title, onEnd }: { title: string; onEnd: (title: string) => void }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.select(), []);
  return (
    <input
      ref={input}
      class="rename"
      aria-label="Name of the chat"
      defaultValue={title}
      onBlur={(event) => onEnd(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter") event.currentTarget.blur();
        if (event.key === "Escape") onEnd(title);
      }}
    />
  );
}

/** Chats by their age. */
function groupsOf(chats: readonly Chat[]): readonly (readonly [string, readonly Chat[]])[] {
  const today = new Date().setHours(0, 0, 0, 0);
  const nameOf = ({ updatedMs }: Chat) => {
    if (updatedMs >= today) return "Today";
    if (updatedMs >= today - DAY_MS) return "Yesterday";
    return updatedMs >= today - 7 * DAY_MS ? "This week" : "Earlier";
  };
  return [...Map.groupBy(chats, nameOf)];
}
