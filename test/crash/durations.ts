import type { Action } from "./operation.ts";

const KEPT = 7;

/** Durations of operations on this machine, measured on operations that were not killed. */
export class Durations {
  readonly #measured = new Map<string, number[]>();

  add(action: Action, milliseconds: number): void {
    const key = keyOf(action);
    const list = this.#measured.get(key) ?? [];
    list.push(milliseconds);
    this.#measured.set(key, list.slice(-KEPT));
  }

  /**
   * Returns the longest of the last few durations, in milliseconds. A kill that comes too late for
   * one operation hits the next one.
   */
  expected(action: Action): number {
    return Math.max(...(this.#measured.get(keyOf(action)) ?? [200]));
  }
}

function keyOf(action: Action): string {
  if (action.kind === "import") return `import ${action.name.replace(/-.*$/, "")}`;
  return action.kind === "pull" ? `pull ${action.storePath}` : action.kind;
}
