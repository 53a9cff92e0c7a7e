/** The messages of the branch that is shown, or a welcome. */
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { currentChat } from "../state/app_state.ts";
import { branchOf, siblingsOf } from "../state/chat_tree.ts";
import { useApp, useAppState } from "./context.ts";
import { AnswerMessage, UserMessage } from "./message.tsx";
import { useOlderLater } from "./older_later.ts";
import { TroubleNote } from "./trouble_note.tsx";
import { Mark } from "./icon.tsx";

/** Who is so near to the end stays there while an answer comes. */
const NEAR_END_PX = 120;

const SUGGESTIONS = [
  "What is Ganglion?",
  "Tell me a short story about a small boat.",
  "How do I run a model that is larger than my memory?",
];

export function Conversation() {
  const chat = useAppState(currentChat);
  const running = useAppState((state) => state.running);
  const trouble = useAppState((state) => state.trouble);
  const app = useApp();
  const place = useRef<HTMLElement>(null);
  const isAtEnd = useRef(true);
  const branch = chat ? branchOf(chat) : [];
  const { first, restFrom, restEnd, isWhole } = useOlderLater(chat?.id, branch.length);
  const stayAtEnd = () => {
    const main = place.current!;
    // A welcome has no end that would be news.
    if (isAtEnd.current) main.scrollTop = branch.length === 0 ? 0 : main.scrollHeight;
  };
  useLayoutEffect(stayAtEnd);
  useStayingPut(place, first);
  useEffect(() => {
    isAtEnd.current = true;
    stayAtEnd();
  }, [chat?.id, running?.nodeId]);
  const onScroll = () => {
    const { scrollHeight, scrollTop, clientHeight } = place.current!;
    isAtEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  };
  return (
    <main
      ref={place}
      class="conversation"
      onScroll={onScroll}
      onClick={copyCode}
      onLoadCapture={stayAtEnd} // images have no height before
      tabIndex={-1}
    >
      {trouble !== null && (
        <div class="column">
          <TroubleNote
            trouble={trouble}
            label="Try again"
            onAgain={() => app.models.lookAgain()}
          />
        </div>
      )}
      {branch.length === 0 && <Welcome />}
      <div
        class="column log"
        role="log"
        aria-label="Conversation"
        aria-busy={!isWhole || running !== null && running.chatId === chat?.id}
      >
        {chat && branch.map((node, at) => {
          if (at < first) return null; // its place is kept: messages behind it are not moved
          const common = {
            ...{ node, versions: siblingsOf(chat, node) },
            isResting: at >= restFrom && at < restEnd,
          };
          return node.role === "user"
            ? <UserMessage key={node.id} {...common} />
            : <AnswerMessage key={node.id} {...common} isRunning={running?.nodeId === node.id} />;
        })}
      </div>
    </main>
  );
}

/** Older messages that appear above what is read leave it where it is. */
function useStayingPut(place: RefObject<HTMLElement | null>, first: number): void {
  const before = useRef({ first, height: 0 });
  useLayoutEffect(() => {
    const main = place.current!;
    const { scrollHeight, scrollTop } = main;
    // Most browsers see to that by themselves, but for those who are at the very top.
    const isSeenTo = CSS.supports("overflow-anchor", "auto") && scrollTop > 0;
    const hasCome = first < before.current.first;
    if (hasCome && !isSeenTo) main.scrollTop += scrollHeight - before.current.height;
    before.current = { first, height: scrollHeight };
  });
}

function Welcome() {
  const app = useApp();
  return (
    <section class="welcome">
      <Mark />
      <h2>What shall we think about?</h2>
      <p>The model runs on this machine, and what you write stays here.</p>
      <div class="suggestions">
        {SUGGESTIONS.map((text) => (
          <button
            key={text}
            type="button"
            onClick={() => app.chats.send(text)}
          >
            {text}
          </button>
        ))}
      </div>
    </section>
  );
}

/** Blocks of code are HTML of the sanitizer's: their buttons are heard here. */
async function copyCode({ target }: MouseEvent): Promise<void> {
  const button = target instanceof Element ? target.closest("[data-copy]") : null;
  const code = button?.closest(".code")?.querySelector("code");
  if (button === null || !code) return;
  button.textContent = await copyText(code.textContent ?? "") ? "Copied" : "Cannot copy";
  setTimeout(() => button.textContent = "Copy", 1500);
}

/** False: the browser does not let the page. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
