/**
 * Where the default certificate comes from: the files that the environment names, read anew when
 * they change; else one of our own making in the data dir; else, where that cannot be written, one
 * that lives as long as the process.
 */
import { type Environment, kept, type Log, StartError } from "@postern/process";
import { type Certificate, CertificateError, checkCertificate } from "./certificate.ts";

/** The file in the data dir that holds the self-made certificate and its key. */
const KEPT_FILE = "tls-certificate.pem";

/** How often files are looked at for a change, in milliseconds. */
const LOOK_MILLISECONDS = 10_000;

/** The default certificate, in force. */
export interface CertificateSource {
  readonly current: Certificate;
  /** Calls back with each new one. */
  onChange(use: (certificate: Certificate) => void): void;
  /** Looks at the files now: on SIGHUP, for example. */
  reload(): Promise<void>;
  stop(): void;
}

/**
 * Opens the default certificate. A certificate in files that is bad later is logged, and the one
 * before stays in force.
 *
 * @throws {StartError} when the files that the environment names cannot be used at start
 */
export async function openCertificate(
  { tls, dataDir, hostname }: Pick<Environment, "tls" | "dataDir" | "hostname">,
  log: Log,
  now: () => Date,
): Promise<CertificateSource> {
  if (tls === undefined) return constant(await ownCertificate({ dataDir, hostname }, log, now()));
  let texts = await readFiles(tls);
  let current = checked(tls, texts);
  const uses: ((certificate: Certificate) => void)[] = [];
  const reload = async () => {
    try {
      const latest = await readFiles(tls);
      if (latest.cert === texts.cert && latest.key === texts.key) return;
      const certificate = checked(tls, latest);
      texts = latest;
      current = certificate;
      log.info("certificate in force", { subject: current.subject, validTo: current.validTo });
      for (const use of uses) use(current);
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      log.warning("the new certificate is not used", { error: error.message });
    }
  };
  const timer = setInterval(() => void reload(), LOOK_MILLISECONDS);
  return {
    get current() {
      return current;
    },
    onChange: (use) => void uses.push(use),
    reload,
    stop: () => clearInterval(timer),
  };
}

function constant(current: Certificate): CertificateSource {
  return { current, onChange: () => {}, reload: () => Promise.resolve(), stop: () => {} };
}

/** The certificate of our own making: kept, or made for this process alone. */
async function ownCertificate(
  { dataDir, hostname }: { readonly dataDir: string; readonly hostname: string },
  log: Log,
  now: Date,
): Promise<Certificate> {
  // Loaded only when one is made: it takes longer to load than the rest of a process.
  const make = async () => (await import("./self-signed.ts")).makeSelfSigned(hostname, now);
  const { text, file, created } = await kept(dataDir, KEPT_FILE, make).catch(async (error) => {
    if (!(error instanceof StartError)) throw error;
    log.warning("a certificate is made for this process alone: it cannot be kept", {
      error: error.message,
    });
    return { text: await make(), file: undefined, created: true };
  });
  try {
    const certificate = checkCertificate(text, text);
    if (created) log.info("self-signed certificate made", { file, subject: certificate.subject });
    return certificate;
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw new StartError(`${file}: ${error.message}; delete the file to have a new one made`);
  }
}

interface Files {
  readonly certFile: string;
  readonly keyFile: string;
}

async function readFiles({ certFile, keyFile }: Files): Promise<{ cert: string; key: string }> {
  const read = async (variable: string, file: string) => {
    try {
      return await Deno.readTextFile(file);
    } catch (error) {
      throw new StartError(`${variable} ${file} cannot be read: ${(error as Error).message}`);
    }
  };
  return {
    cert: await read("POSTERN_TLS_CERT_FILE", certFile),
    key: await read("POSTERN_TLS_KEY_FILE", keyFile),
  };
}

function checked({ certFile, keyFile }: Files, texts: { cert: string; key: string }): Certificate {
  try {
    return checkCertificate(texts.cert, texts.key);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw new StartError(`POSTERN_TLS_CERT_FILE ${certFile} with ${keyFile}: ${error.message}`);
  }
}
