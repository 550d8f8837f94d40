//! Plays: templates, loops and modules, turned into agent requests.
