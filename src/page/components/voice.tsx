/** A microphone beside the message: its button, and what is seen while it listens. */
import { useEffect, useRef } from "preact/hooks";
import { currentModel, hearingModel } from "../state/app_state.ts";
import { useApp, useAppState } from "./context.ts";
import { IconButton } from "./icon.tsx";

/** Nothing where no model could hear it. */
export function VoiceButton() {
  const app = useApp();
  const canHear = useAppState((state) => hearingModel(state) !== null);
  const isAnswering = useAppState((state) => currentModel(state)?.hearsSounds ?? false);
  const phase = useAppState((state) => state.voice?.phase ?? null);
  if (!canHear && phase === null) return null;
  const label = isAnswering ? "Record a sound" : "Say the message";
  return (
    <IconButton
      icon={phase === "recording" ? "stop" : "microphone"}
      kind={phase === "recording" ? "is-recording" : ""}
      label={phase === "recording" ? "End the recording" : label}
      disabled={phase === "asking" || phase === "writing"}
      onClick={() => app.voice.toggle()}
    />
  );
}

/** How long and how loud it is, or what is done with it. */
export function VoiceRow({ onDiscard }: { readonly onDiscard: () => void }) {
  const app = useApp();
  const phase = useAppState((state) => state.voice?.phase ?? null);
  const seconds = useAppState((state) => Math.floor(state.voice?.seconds ?? 0));
  return (
    <>
      <span class="unseen" role="status">{phase === null ? "" : WORDS[phase]}</span>
      {phase !== null && (
        <div class="voice">
          <span class={`dot ${phase === "recording" ? "bad" : "busy"}`} aria-hidden="true" />
          {phase === "recording"
            ? (
              <>
                <span role="timer" aria-label="Length of the recording">{clock(seconds)}</span>
                <Level />
              </>
            )
            : <span aria-hidden="true">{WORDS[phase]}</span>}
          <IconButton
            icon="close"
            kind="small"
            label={phase === "recording" ? "Discard the recording" : "Cancel"}
            onClick={() => (app.voice.discard(), onDiscard())}
          />
        </div>
      )}
    </>
  );
}

const WORDS = {
  asking: "Waiting for the microphone…",
  recording: "Recording",
  writing: "Listening to it…",
} as const;

function Level() {
  const level = useAppState((state) => state.voice?.level ?? 0);
  const bar = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    bar.current!.style.transform = `scaleX(${level.toFixed(3)})`;
  }, [level]);
  return (
    <span class="level" aria-hidden="true">
      <span ref={bar} />
    </span>
  );
}

/** "1:05" */
function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
