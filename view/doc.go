// Package view is how messages and what keeps them back are shown: the objects of the contract, which commands print and the HTTP API
// answers. Phone numbers are masked in them, unless whoever asks may see them.
package view
