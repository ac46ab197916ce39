// Package view is how messages, campaigns and what keeps them back are shown: the objects of the contract, which commands print, the HTTP
// API answers, and our pages show. Phone numbers are masked in them, unless whoever asks may see them.
package view
