/**
 * The File System Access API of browsers that have it. TypeScript's library does not describe these
 * functions yet.
 */
interface FilePickers {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
  showDirectoryPicker?(options: { mode: "read" }): Promise<FileSystemDirectoryHandle>;
}

function pickers(): FilePickers {
  return globalThis as FilePickers;
}

export function canPickDirectory(): boolean {
  return typeof pickers().showDirectoryPicker === "function";
}

/**
 * Lets the reader pick a directory. Call it in the handler of a click.
 *
 * @returns undefined if the reader closed the picker
 */
export async function pickDirectory(): Promise<FileSystemDirectoryHandle | undefined> {
  return dismissable(pickers().showDirectoryPicker?.({ mode: "read" }));
}

export function canPickSaveFile(): boolean {
  return typeof pickers().showSaveFilePicker === "function";
}

/**
 * Lets the reader pick a file to save to. Call it in the handler of a click.
 *
 * @returns undefined if the reader closed the picker
 */
export async function pickSaveFile(suggestedName: string): Promise<FileSystemFileHandle | undefined> {
  return dismissable(pickers().showSaveFilePicker?.({ suggestedName }));
}

async function dismissable<T>(picked: Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await picked;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return undefined;
    throw error;
  }
}
