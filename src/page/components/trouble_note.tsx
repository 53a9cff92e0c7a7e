/** What went wrong, and what helps. */
import type { Trouble } from "../types.ts";

export function TroubleNote({ trouble, label, onAgain }: {
  readonly trouble: Trouble;
  readonly label: string;
  readonly onAgain: () => void;
}) {
  return (
    <div class="trouble" role="alert">
      <p>
        <strong>{trouble.message}</strong> {trouble.cure}
      </p>
      <button type="button" class="quiet" onClick={onAgain}>{label}</button>
    </div>
  );
}
