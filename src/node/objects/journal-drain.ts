import type { ObjectFiles } from "./object-files.ts";
import type { ObjectJournal } from "./object-journal.ts";

interface Limits {
  readonly bytes: number;
  readonly count: number;
}

/** What the journal holds before those who put more have to wait. */
const LIMITS: Limits = { bytes: 64 * 1024 * 1024, count: 65_536 };
/** What is made files together. */
const STEP_BYTES = 16 * 1024 * 1024;
const STEP_COUNT = 4096;
/** Milliseconds without anything new after which there is time. */
const IDLE = 1000;
/** Milliseconds until it is tried again, when it failed. */
const PAUSE = 10_000;

/** Makes what is in a journal files: when there is time, or once the journal is half full. */
export class JournalDrain {
  readonly #journal: ObjectJournal;
  readonly #files: ObjectFiles;
  readonly #limits: Limits;
  #timer: NodeJS.Timeout | undefined;
  #step: Promise<boolean> | undefined;

  constructor(journal: ObjectJournal, files: ObjectFiles, limits = LIMITS) {
    this.#journal = journal;
    this.#files = files;
    this.#limits = limits;
    // What an earlier process had no time for.
    this.schedule();
  }

  /** To be called when something was added. */
  schedule(): void {
    if (this.#journal.count === 0) return;
    this.#startIn(this.#isFilled(0.5) ? 0 : IDLE);
  }

  /** Waits while the journal is full. @throws StoreError `quota`, `denied`, `unavailable` */
  async makeRoom(): Promise<void> {
    while (this.#isFilled(1) && (await this.#once()));
  }

  /** Leaves nothing in the journal. @throws StoreError `quota`, `denied`, `unavailable`; then it is still there */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    while (await this.#once());
    clearTimeout(this.#timer);
  }

  #isFilled(part: number): boolean {
    return this.#journal.bytes > this.#limits.bytes * part || this.#journal.count > this.#limits.count * part;
  }

  #startIn(delay: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      try {
        if (await this.#once()) this.#startIn(0);
      } catch {
        // It is safe where it is. Those who wait for room, or close, are told.
        this.#startIn(PAUSE);
      }
    }, delay).unref();
  }

  /** Makes files of some, if there are any. Whether there were. */
  #once(): Promise<boolean> {
    this.#step ??= this.#move().finally(() => {
      this.#step = undefined;
    });
    return this.#step;
  }

  async #move(): Promise<boolean> {
    const batch = this.#journal.some(STEP_COUNT, STEP_BYTES);
    if (batch.chunks.size + batch.blobs.size === 0) return false;
    await this.#files.write([batch.chunks, batch.blobs]);
    await this.#journal.remove(batch);
    return true;
  }
}
