// Package config reads the one configuration all commands share: defaults, then a YAML file, then the environment, each beating the one
// before. It is strict: an unknown key, an unknown variable and a value of the wrong kind are problems, and Load reports every problem at
// once, each with its place and what to do about it.
//
// Secrets are never written in the file. The file names the environment variable (key_env, password_env, api_key_env, callback_token_env,
// notify_secret_env, secret_env) or the file (api_key_file) that holds one, and a loaded secret prints as "[redacted]" however it is printed.
//
// Nothing here reads the process's own environment; callers pass it in.
package config
