import type { Action } from "./operation.ts";

const KEPT = 7;

/** How long operations take here, learned from those that were not killed. */
export class Durations {
  readonly #measured = new Map<string, number[]>();

  add(action: Action, milliseconds: number): void {
    const key = keyOf(action);
    const list = this.#measured.get(key) ?? [];
    list.push(milliseconds);
    this.#measured.set(key, list.slice(-KEPT));
  }

  /** In milliseconds: the longest of the last few, because what is aimed beyond the end of some hits the end of others. */
  expected(action: Action): number {
    return Math.max(...(this.#measured.get(keyOf(action)) ?? [200]));
  }
}

function keyOf(action: Action): string {
  if (action.kind === "import") return `import ${action.name.replace(/-.*$/, "")}`;
  return action.kind === "pull" ? `pull ${action.storePath}` : action.kind;
}
