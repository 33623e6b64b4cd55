import type { CSSResult, nothing, TemplateResult } from "lit";

/** Maximum bytes of `FileFacts.head`. */
export const HEAD_LENGTH = 256 * 1024;

/** The facts about a file by which a view decides whether it can show the file. */
export interface FileFacts {
  /** Absolute path of the store path that has the file. */
  readonly storePath: string;
  /** Path of the file within the store path; empty if the store path is the file. */
  readonly path: Uint8Array;
  /** Last name of `path`; the name of the store path if `path` is empty. */
  readonly name: Uint8Array;
  /** Size in bytes. No view renders an empty file: the preview says that it is empty. */
  readonly size: number;
  /** The first bytes, `HEAD_LENGTH` of them unless the file is shorter. */
  readonly head: Uint8Array<ArrayBuffer>;
  /**
   * Reads the bytes from offset `start` to offset `end`, which are clamped to the file.
   *
   * @throws StoreError if the store can't read the content
   */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A way to show files. `registry.ts` lists all views; CONTRIBUTING.md tells how to add one. */
export interface FileView {
  /** Lower-case word that identifies the view, for example `text`. */
  readonly name: string;
  /** Text of the button that chooses the view. */
  readonly label: string;
  /** Whether the reader can choose the view for a file that the view does not accept. */
  readonly alwaysOffered: boolean;
  /**
   * Styles of the view. All views are in one shadow root, so each selector starts with
   * `.view-<name>`. The elements around the content and the controls have this class.
   */
  readonly styles: CSSResult;
  /**
   * Whether the view suits the file. The first view of the registry that accepts a file shows it,
   * until the reader chooses another view. Must be fast, because it runs for each file that the
   * reader opens. Must not throw: a view does not accept a malformed file.
   */
  accepts(facts: FileFacts): boolean;
  /** Starts to show a file. */
  open(facts: FileFacts, host: FileViewHost): OpenFileView;
}

/** A file in one view. It keeps its state while the reader looks at the file in another view. */
export interface OpenFileView {
  /** Renders the content; undefined until the first part is read. */
  content(): TemplateResult | undefined;
  /** Renders the controls below the content. */
  controls?(): TemplateResult | typeof nothing;
  /** Releases resources. A read that is running may still finish afterwards. */
  close?(): void;
}

/** The services that the preview gives to an open view. */
export interface FileViewHost {
  /**
   * Runs `load`, which reads content, then renders the view again. If `load` rejects, the preview
   * shows the error instead of the file.
   */
  load(load: () => Promise<void>): void;
  /** Shows the file in the next view that accepts it, because this view can't show it. */
  giveUp(): void;
}
