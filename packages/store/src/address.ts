/**
 * Addresses of Postgres, as `DATABASE_URL` has them. A server on the same machine may be reached by its Unix
 * socket, which spares both sides the network stack; libpq writes the folder of the socket in two ways, as
 * a percent-encoded host and as the parameter `host`. The driver knows neither.
 */

/** An address as the driver takes it. */
export interface DriverAddress {
  readonly url: string;
  /** The server's socket, where it is reached by one. */
  readonly path?: string;
}

const DEFAULT_PORT = "5432";

/** Splits an address into what the driver reads and the socket. */
export function driverAddress(databaseUrl: string): DriverAddress {
  const url = URL.parse(databaseUrl);
  // Several hosts with ports are no URL, yet the driver knows them.
  if (url === null) return { url: databaseUrl };
  const parameter = url.searchParams.get("host") ?? "";
  const folder = parameter === "" ? decodeURIComponent(url.hostname) : parameter;
  if (!folder.startsWith("/")) return { url: databaseUrl };
  url.searchParams.delete("host");
  url.hostname = "localhost";
  const port = url.port === "" ? DEFAULT_PORT : url.port;
  return { url: url.href, path: `${folder.replace(/\/+$/, "")}/.s.PGSQL.${port}` };
}
