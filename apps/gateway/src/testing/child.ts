/**
 * A child for the tests of the supervisor. Appends `PID start` to the file it is given, then
 * behaves as its second argument says.
 */
const [file = "", behaviour] = Deno.args;
const note = (text: string) =>
  Deno.writeTextFileSync(file, `${Deno.pid} ${text}\n`, { append: true });
const starts = () =>
  Deno.readTextFileSync(file).split("\n").filter((l) => l.endsWith("start")).length;

note("start");
if (behaviour === "fails") Deno.exit(1);
if (behaviour === "is-mended" && starts() <= 2) Deno.exit(78);
if (behaviour === "stubborn") Deno.addSignalListener("SIGTERM", () => note("deaf"));
else {
  Deno.addSignalListener("SIGTERM", () => {
    note("drained");
    Deno.exit(0);
  });
}
Deno.addSignalListener("SIGHUP", () => note("hung-up"));
Deno.stdout.writeSync(new TextEncoder().encode('{"ready":true,"listening":["smtp://a:1"]}\n'));
if (behaviour === "dies-thrice" && starts() <= 3) Deno.exit(1);
await Deno.stdin.read(new Uint8Array(1));
note("orphaned");
Deno.exit(0);
