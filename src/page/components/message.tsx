/** A message: what was said, and what can be done with it. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Block, blocksOf } from "../text/markdown.ts";
import type { AnswerFacts, ChatNode } from "../types.ts";
import { useApp, useAppState } from "./context.ts";
import { copyText } from "./conversation.tsx";
import { IconButton } from "./icon.tsx";
import { ImageRow } from "./images.tsx";
import { TroubleNote } from "./trouble_note.tsx";

interface MessageProps {
  readonly node: ChatNode;
  /** All versions of it, oldest first. */
  readonly versions: readonly ChatNode[];
  /** Drawn only where it is seen (older_later.ts). */
  readonly isResting: boolean;
}

export function UserMessage({ node, versions, isResting }: MessageProps) {
  const app = useApp();
  const isEditing = useAppState((state) => state.editingId === node.id);
  const isBusy = useAppState((state) => state.running !== null);
  const edit = (editingId: string | null) => app.store.set({ editingId });
  if (isEditing) return <MessageEditor node={node} onEnd={() => edit(null)} />;
  return (
    <article class={`message user${isResting ? " is-resting" : ""}`} aria-label="You">
      <ImageRow images={node.images ?? []} />
      {node.content !== "" && <div class="bubble">{node.content}</div>}
      <div class="message-actions">
        <Versions node={node} versions={versions} isBusy={isBusy} />
        {node.content !== "" && <CopyButton text={node.content} label="Copy message" />}
        <IconButton
          icon="edit"
          kind="small"
          label="Edit message"
          disabled={isBusy}
          onClick={() => edit(node.id)}
        />
      </div>
    </article>
  );
}

function MessageEditor({ node, onEnd }: { node: ChatNode; onEnd: () => void }) {
  const app = useApp();
  const [text, setText] = useState(node.content);
  const [images, setImages] = useState(node.images ?? []);
  const area = useRef<HTMLTextAreaElement>(null);
  // Before anybody can type: the cursor must not be moved under their hands.
  useLayoutEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(text.length, text.length);
  }, []);
  const isEmpty = text.trim() === "" && images.length === 0;
  const send = () => isEmpty ? onEnd() : app.chats.edit(node, text.trim(), images);
  const remove = (index: number) => {
    setImages(images.filter((_, each) => each !== index));
    area.current?.focus(); // the button that had it is gone
  };
  return (
    <form
      class="editor"
      aria-label="Edit message"
      onSubmit={(event) => (event.preventDefault(), send())}
    >
      <ImageRow images={images} onRemove={remove} />
      <textarea
        ref={area}
        aria-label="Edited message"
        rows={Math.min(12, text.split("\n").length + 1)}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onEnd();
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      <div class="editor-actions">
        <span class="faint">The message as it was stays, as another version.</span>
        <button type="button" class="quiet" onClick={onEnd}>Cancel</button>
        <button type="submit" class="primary">Send</button>
      </div>
    </form>
  );
}

export function AnswerMessage({ node, versions, isResting, isRunning }: MessageProps & {
  readonly isRunning: boolean;
}) {
  const app = useApp();
  const isBusy = useAppState((state) => state.running !== null);
  const again = () => app.chats.regenerate(node);
  const { content, thoughts, trouble } = node;
  const state = isRunning ? " is-running" : isResting ? " is-resting" : "";
  return (
    <article class={`message answer${state}`} aria-label="Answer">
      {thoughts !== undefined && (
        <details class="thoughts" open={isRunning && content === ""}>
          <summary>Thoughts</summary>
          <div>{thoughts}</div>
        </details>
      )}
      {content === "" && isRunning ? <Waiting modelId={node.model} /> : <Prose text={content} />}
      {trouble !== undefined && <TroubleNote trouble={trouble} label="Try again" onAgain={again} />}
      <div class="message-actions">
        {!isRunning && (
          <>
            <Versions node={node} versions={versions} isBusy={isBusy} />
            <CopyButton text={content} label="Copy answer" />
            <IconButton
              icon="again"
              kind="small"
              label="Answer again"
              disabled={isBusy}
              onClick={again}
            />
          </>
        )}
        <Facts node={node} />
      </div>
    </article>
  );
}

/** Nothing has come yet: a model that is large takes minutes before it begins. */
function Waiting({ modelId }: { readonly modelId: string | undefined }) {
  const words = useAppState(({ models }) => {
    const { state, progress } = models.find(({ id }) => id === modelId) ?? {};
    if (state !== "loading") return null;
    return `Loading the model${progress == null ? "…" : `: ${Math.floor(progress * 100)} %`}`;
  });
  return (
    <p class="waiting">
      <span />
      <span />
      <span />
      <em class={words === null ? "unseen" : "faint"}>{words ?? "Thinking"}</em>
    </p>
  );
}

function Prose({ text }: { text: string }) {
  const shown = useRef<{ text: string; blocks: readonly Block[] }>({ text: "", blocks: [] });
  if (shown.current.text !== text) {
    shown.current = { text, blocks: blocksOf(text, shown.current.blocks) };
  }
  return (
    <div class="prose">
      {shown.current.blocks.map((block, index) => <ProseBlock key={index} html={block.html} />)}
    </div>
  );
}

/** html: of the sanitizer, and of nobody else. */
function ProseBlock({ html }: { html: string }) {
  return <div dangerouslySetInnerHTML={{ __html: html }} />;
}

function Facts({ node }: { node: ChatNode }) {
  const words = [
    ...speedWords(node.facts),
    ...node.ending === "stopped" ? ["stopped"] : [],
    ...node.ending === "length" ? ["cut at the longest length"] : [],
  ];
  const { promptTokens } = node.facts ?? {};
  const prompt = promptTokens === undefined ? "" : `, prompt of ${promptTokens} tokens`;
  if (words.length === 0) return null;
  return <span class="facts" title={`${node.model ?? ""}${prompt}`}>{words.join(" · ")}</span>;
}

function speedWords(facts: AnswerFacts | undefined): readonly string[] {
  if (facts === undefined || facts.tokens === 0) return [];
  const { tokens, tokensPerSecond, firstTokenMs } = facts;
  return [
    `${tokens} token${tokens === 1 ? "" : "s"}`,
    ...tokensPerSecond > 0 ? [`${rounded(tokensPerSecond)} tokens/s`] : [],
    `first after ${secondsOf(firstTokenMs)}`,
  ];
}

function rounded(perSecond: number): string {
  return perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toFixed(1);
}

function secondsOf(ms: number): string {
  return ms < 995 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function Versions({ node, versions, isBusy }: Omit<MessageProps, "isResting"> & {
  readonly isBusy: boolean;
}) {
  const app = useApp();
  if (versions.length < 2) return null;
  const index = versions.indexOf(node);
  const turn = (to: number) => app.chats.show(versions[to]);
  return (
    <span class="versions" role="group" aria-label="Versions">
      <IconButton
        icon="left"
        kind="small"
        label="Version before"
        disabled={isBusy || index === 0}
        onClick={() => turn(index - 1)}
      />
      <span aria-live="polite">{index + 1} / {versions.length}</span>
      <IconButton
        icon="right"
        kind="small"
        label="Version after"
        disabled={isBusy || index === versions.length - 1}
        onClick={() => turn(index + 1)}
      />
    </span>
  );
}

function CopyButton({ text, label }: { text: string; label: string }) {
  const app = useApp();
  const copy = async () =>
    app.tell(await copyText(text) ? "Copied." : "This browser does not let pages copy here.");
  return <IconButton icon="copy" kind="small" label={label} onClick={copy} />;
}
