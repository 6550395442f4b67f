"""What every package stands on: settings, files, git, text, pages. It imports no other package."""
