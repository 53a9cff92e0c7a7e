/** For tests of command lines. */
import process from "node:process";

/** Runs without what commander writes to stderr. */
export function silently(run: () => void): void {
  const write = process.stderr.write;
  process.stderr.write = () => true;
  try {
    run();
  } finally {
    process.stderr.write = write;
  }
}
