// Package auth turns a credential into a Principal with permissions, or into one of its sentinel errors. It
// knows no HTTP, no sockets and no audit file. It starts no goroutines.
//
// # Credentials
//
// Tokens are JWTs (RFC 7519) in JWS compact form (RFC 7515), signed with Ed25519 (RFC 8037) by a key in the data
// directory: the one that signs now, or one that was retired and whose last token has not expired. Their kind stands
// in the typ header (RFC 8725, section 3.11), and one kind is never taken for another. A code is a one-time secret
// that logs a person in; a ticket is a one-time secret that opens one connection to one stream from one origin. Codes
// and tickets live in memory only and are dead after a restart. Options.Check may refuse each of them: that is how
// revocation comes in, of which this package knows nothing.
//
// # Reading tokens
//
// The reader is stricter than the standards ask, as every token it meets was made by this package: at most
// MaxTokenBytes, compact form, canonical base64url, exactly the header parameters alg, kid and typ, no member
// named twice or in other letter case, all of sub, aud, exp, iat, jti and grants present, times in whole
// seconds, and a lifetime within the policy of its kind.
package auth
