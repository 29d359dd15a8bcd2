/** The commands put together, and what becomes of errors. */
import { RequestFailed } from "@postern/client";
import { Command, CommanderError } from "commander";
import { addAuditCommand } from "./commands/audit.ts";
import { addConfigCommands } from "./commands/config.ts";
import { addDestinationCommands } from "./commands/destinations.ts";
import { addExplainCommand } from "./commands/explain.ts";
import { addImportCommand } from "./commands/import.ts";
import { addMessageCommands } from "./commands/messages.ts";
import { addRecipientCommands } from "./commands/recipients.ts";
import { addResourceCommands } from "./commands/resources.ts";
import { addStatusCommand } from "./commands/status.ts";
import { addTokenCommands } from "./commands/tokens.ts";
import { DEFAULT_URL } from "./gateway.ts";
import { CommandError, type Surroundings, UsageError } from "./surroundings.ts";
import { shown } from "./table.ts";

/** Runs one command line; answers the exit code. */
export async function run(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const program = programOf(surroundings);
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help that was asked for is an answer; commander has said what is wrong otherwise.
      return error.exitCode === 0 ? 0 : 2;
    }
    if (error instanceof UsageError) {
      surroundings.error(`postern: ${error.message}\n`);
      return 2;
    }
    if (error instanceof CommandError) {
      surroundings.error(`postern: ${shown(error.message)}\n`);
      return 1;
    }
    if (error instanceof RequestFailed) {
      surroundings.error(failureText(error));
      return 1;
    }
    throw error;
  }
}

/** One sentence, and a line for each field at fault. */
function failureText({ failure }: RequestFailed): string {
  if (failure.kind === "unreachable") {
    return `postern: ${shown(failure.sentence)}. Is the gateway running? --url says where\n`;
  }
  const { problem } = failure;
  const help = problem.status === 401
    ? ": give one by --token, POSTERN_TOKEN or the file admin-token of POSTERN_DATA_DIR"
    : "";
  const fields = (problem.errors ?? []).map(({ pointer, parameter, line, detail }) => {
    const where = parameter ?? (line === undefined ? pointer || "(the whole)" : `line ${line}`);
    return `  ${shown(where)}: ${shown(detail)}\n`;
  });
  return `postern: ${shown(problem.detail)}${help}\n${fields.join("")}`;
}

function programOf(surroundings: Surroundings): Command {
  const program = new Command("postern")
    .description("Asks and changes a Postern mail gateway over its REST API.")
    .option("--url <url>", `where the API listens (POSTERN_URL; ${DEFAULT_URL})`)
    .option("--token <token>", "the API's token (POSTERN_TOKEN; the file .postern/admin-token)")
    .option("--json", "answer JSON, for programs")
    .configureOutput({
      writeOut: (text) => surroundings.out(text),
      writeErr: (text) => surroundings.error(text.replace(/^error: /, "postern: ")),
      getOutHelpWidth: () => surroundings.columns ?? 100,
      getErrHelpWidth: () => surroundings.columns ?? 100,
    })
    .showHelpAfterError("(--help tells more)")
    .helpCommand(false)
    .exitOverride();
  addStatusCommand(program, surroundings);
  addResourceCommands(program, surroundings);
  addRecipientCommands(program, surroundings);
  addConfigCommands(program, surroundings);
  addExplainCommand(program, surroundings);
  addMessageCommands(program, surroundings);
  addDestinationCommands(program, surroundings);
  addTokenCommands(program, surroundings);
  addAuditCommand(program, surroundings);
  addImportCommand(program, surroundings);
  settle(program);
  return program;
}

/** What is set on the program holds for all commands below it. */
function settle(command: Command): void {
  for (const below of command.commands) {
    below.copyInheritedSettings(command);
    settle(below);
  }
}
