/** Waits so many milliseconds, or until the signal; leaves no timer and no listener behind. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(wake, signal.aborted ? 0 : milliseconds);
  signal.addEventListener("abort", wake);
  function wake() {
    clearTimeout(timer);
    signal.removeEventListener("abort", wake);
    resolve();
  }
  return promise;
}
