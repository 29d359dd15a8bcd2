/** The certificate that a gateway shows: given in files, or made by itself and kept. */
export { type Certificate, CertificateError, checkCertificate } from "./certificate.ts";
export { type CertificateSource, openCertificate } from "./source.ts";
