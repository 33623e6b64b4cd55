/** The function of the package that the daemon uses. The package has no types. */
declare module "fs-native-extensions" {
  /**
   * Locks a file, unless another open file holds a lock that conflicts.
   *
   * @returns whether it locked the file
   */
  export function tryLock(fd: number): boolean;
}
