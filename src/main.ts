/** The command line's entry: registers the subcommands of commands/. */
