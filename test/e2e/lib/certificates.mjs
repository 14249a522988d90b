// Certificates, as an operator makes them: with openssl, by the lines of docs/security.md.

import { execFileSync } from "node:child_process";
import { join } from "node:path";

const openssl = (...args) => execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });

/** An authority with its files in dir. issue() gives {certificate, key}, the files of one: for a client, unless the extension says otherwise. */
export function authority(dir, name) {
  const ca = join(dir, `${name}.pem`);
  const caKey = join(dir, `${name}-key.pem`);
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650", "-subj", `/CN=${name}`, "-keyout", caKey, "-out", ca);
  return {
    ca,
    issue(subject, file, days = 90, extension = "extendedKeyUsage=clientAuth") {
      const [certificate, key, request] = [join(dir, `${file}.pem`), join(dir, `${file}-key.pem`), join(dir, `${file}.csr`)];
      openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", `/CN=${subject}`, "-addext", extension, "-keyout", key, "-out", request);
      openssl("x509", "-req", "-in", request, "-copy_extensions", "copy", "-CA", ca, "-CAkey", caKey, "-days", `${days}`, "-out", certificate);
      return { certificate, key };
    },
  };
}
