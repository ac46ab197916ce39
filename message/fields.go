package message

import "github.com/gupdispatch/gupdispatch/gupshup"

// FieldError is one wrong field of a message, as Normalise and decoding name it; for those who know nothing of the provider.
type FieldError = gupshup.FieldError

// FieldErrors is all of them.
type FieldErrors = gupshup.FieldErrors
