import type { ObjectStore } from "../../castore/object-store.ts";
import type { ObjectJournal } from "./object-journal.ts";

interface Limits {
  readonly bytes: number;
  readonly count: number;
}

/** Contents of the journal at which `makeRoom` waits. */
const LIMITS: Limits = { bytes: 64 * 1024 * 1024, count: 65_536 };
/** Maximum contents of one step, which are written together. */
const STEP_BYTES = 16 * 1024 * 1024;
const STEP_COUNT = 4096;
/** Milliseconds without new objects after which a step starts. */
const IDLE = 1000;
/** Milliseconds until a failed step is retried. */
const PAUSE = 10_000;

/**
 * Writes the objects of a journal to an object store: when no new ones come, or once the journal is
 * half full.
 */
export class JournalDrain {
  readonly #journal: ObjectJournal;
  readonly #target: ObjectStore;
  readonly #limits: Limits;
  #timer: NodeJS.Timeout | undefined;
  #step: Promise<boolean> | undefined;
  #isClosed = false;

  constructor(journal: ObjectJournal, target: ObjectStore, limits = LIMITS) {
    this.#journal = journal;
    this.#target = target;
    this.#limits = limits;
    // An earlier process may have left objects in the journal.
    this.schedule();
  }

  /** Schedules the next step. Call it after an object was added. */
  schedule(): void {
    if (this.#journal.count === 0) return;
    this.#startIn(this.#isFilled(0.5) ? 0 : IDLE);
  }

  /**
   * Waits while the journal is full.
   *
   * @throws StoreError `quota`, `denied` or `unavailable` if objects can't be written
   */
  async makeRoom(): Promise<void> {
    while (this.#isFilled(1) && (await this.#once()));
  }

  /**
   * Writes all objects of the journal.
   *
   * @throws StoreError `quota`, `denied` or `unavailable` if objects can't be written; the rest
   *   then stays in the journal
   */
  async empty(): Promise<void> {
    while (await this.#once());
  }

  /**
   * Writes all objects of the journal, and starts no more steps.
   *
   * @throws StoreError as `empty`
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.empty();
  }

  #isFilled(part: number): boolean {
    return this.#journal.bytes > this.#limits.bytes * part || this.#journal.count > this.#limits.count * part;
  }

  #startIn(delay: number): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(async () => {
      try {
        if (await this.#once()) this.#startIn(0);
      } catch {
        // The objects are safe in the journal. `makeRoom` and `close` report the failure.
        this.#startIn(PAUSE);
      }
    }, delay).unref();
  }

  /** Runs one step, or joins the running one. Resolves to whether the journal had objects. */
  #once(): Promise<boolean> {
    this.#step ??= this.#move().finally(() => {
      this.#step = undefined;
    });
    return this.#step;
  }

  async #move(): Promise<boolean> {
    const objects = this.#journal.some(STEP_COUNT, STEP_BYTES);
    if (objects.size === 0) return false;
    await this.#target.putMany([objects]);
    await this.#journal.remove(objects);
    return true;
  }
}
