//! The games: every ROM in the wheel of ale-py 0.12.1 that ALE can play, which leaves out four that need two players (combat, joust,
//! maze_craze, warlords). Known even where ALE is not built in.

macro_rules! games {
    ($($name:literal),*) => {
        /// Names of the Atari tasks.
        pub const ATARI_TASKS: &[&str] = &[$(concat!("atari/", $name)),*];
    };
}
games! {
    "adventure", "air_raid", "alien", "amidar", "assault", "asterix", "asteroids", "atlantis", "atlantis2",
    "backgammon", "bank_heist", "basic_math", "battle_zone", "beam_rider", "berzerk", "blackjack", "bowling",
    "boxing", "breakout", "carnival", "casino", "centipede", "chopper_command", "crazy_climber",
    "crossbow", "darkchambers", "defender", "demon_attack", "donkey_kong", "double_dunk", "earthworld",
    "elevator_action", "enduro", "entombed", "et", "fishing_derby", "flag_capture", "freeway", "frogger",
    "frostbite", "galaxian", "gopher", "gravitar", "hangman", "haunted_house", "hero", "human_cannonball",
    "ice_hockey", "jamesbond", "journey_escape", "kaboom", "kangaroo", "keystone_kapers", "king_kong",
    "klax", "koolaid", "krull", "kung_fu_master", "laser_gates", "lost_luggage", "mario_bros",
    "miniature_golf", "montezuma_revenge", "mr_do", "ms_pacman", "name_this_game", "othello", "pacman",
    "phoenix", "pitfall", "pitfall2", "pong", "pooyan", "private_eye", "qbert", "riverraid", "road_runner",
    "robotank", "seaquest", "sir_lancelot", "skiing", "solaris", "space_invaders", "space_war", "star_gunner",
    "superman", "surround", "tennis", "tetris", "tic_tac_toe_3d", "time_pilot", "trondead", "turmoil",
    "tutankham", "up_n_down", "venture", "video_checkers", "video_chess", "video_cube", "video_pinball",
    "wizard_of_wor", "word_zapper", "yars_revenge", "zaxxon"
}

/// What the task names begin with.
pub const PREFIX: &str = "atari/";

/// Points below which no game can end, with the sign turned: what makes every elite count in a QD score. `frames` is the length of
/// the longest episode.
///
/// For the games that are known to score below zero: both players' points are limited by the rules, or what is lost is taken from
/// what one starts with. Skiing pays minus the hundredths of a second that the run took, and -500 for each of 20 gates missed.
/// The others count from zero.
pub fn qd_offset(game: &str, frames: u32) -> f64 {
    match game {
        "boxing" => 100.0,
        "double_dunk" => 26.0,
        "fishing_derby" | "ice_hockey" => 99.0,
        "journey_escape" => 50_000.0,
        "pitfall" => 2000.0,
        "pong" => 21.0,
        "private_eye" => 1000.0,
        "skiing" => f64::from(frames) * 100.0 / 60.0 + 20.0 * 500.0,
        "surround" => 10.0,
        "tennis" => 24.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn games_are_in_order_and_distinct() {
        assert_eq!(ATARI_TASKS.len(), 104);
        assert!(ATARI_TASKS.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ATARI_TASKS.iter().all(|name| name.starts_with(PREFIX)));
    }
}
