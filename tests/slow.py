"""What takes long, by measurement, and what may not run side by side.

`make test` begins with the slow files, so that none of them is left to one process at the end. `make test-fast` leaves
slow tests out.
"""

# seconds of one core; a whole file, or single tests (with all their parameters) of a file whose others are quick
SLOW = {
    "tests/dataset/test_tampering.py": 37,
    "tests/test_platforms.py": 45,
    "tests/acoustics/test_soundspaces_install.py": 6,
    "tests/models/test_all_stages.py": 160,
    "tests/models/test_left_out_classes.py": 20,
    "tests/models/test_grounded_words.py": 15,
    "tests/test_execution.py": 130,
    "tests/test_levels.py": 60,
    "tests/models/test_train_bat.py": 56,
    "tests/test_wheel.py": 42,
    "tests/models/test_train_spatial_ast.py": 41,
    "tests/dataset/test_validate.py": 32,
    "tests/clips/test_foley.py": 32,
    "tests/test_audit.py": 130,
    "tests/exports/test_recipes.py": 23,
    "tests/banks/test_bank_scenes.py": 20,
    "tests/scoring/test_score.py": 20,
    "tests/models/test_llm.py::test_smollm2_knows_something": 17,
    "tests/test_same_bytes.py": 16,
    "tests/test_examples.py": 30,
    "tests/test_placements.py": 20,
    "tests/test_api.py": 15,
    "tests/test_pages.py": 25,
    "tests/dataset/test_integrity.py": 18,
    "tests/test_on_ray.py": 15,
    "tests/test_soak.py": 12,
    "tests/test_playback.py": 13,
    "tests/test_head_sets.py": 10,
    "tests/test_yaws.py": 7,
    "tests/acoustics/geometric/test_reverberation.py": 8,
    "tests/acoustics/geometric/test_sofa_head.py": 5,
    "tests/acoustics/geometric/test_comparison.py": 3,
    "tests/test_isolation.py": 8,
    "tests/hostile/test_fuzz.py": 14,
    "tests/hostile/test_bad_input.py": 9,
    "tests/clips/test_audioset_render.py": 15,
    "tests/acoustics/test_habitat.py": 11,
    "tests/models/test_answer.py": 10,
    "tests/qa/test_question_modules.py": 10,
    "tests/qa/test_choices.py": 9,
    "tests/qa/test_balance.py": 8,
    "tests/exports/test_spatialsoundqa.py": 8,
    "tests/models/test_leaks.py": 8,
    "tests/acoustics/test_ambisonics.py::test_the_intensity_points_to_the_source_and_the_scale_is_sn3d": 7,
    "tests/models/test_grounding.py::test_it_answers_about_names_that_no_question_had_in_training": 6,
    "tests/test_cli.py::test_status_and_validate_and_doctor_and_lists": 6,
    "tests/views/test_in_browser.py": 25,
    "tests/hub/test_push.py": 12,
    "tests/clips/test_fetch.py": 6,
    "tests/views/test_preview_page.py": 8,
    "tests/views/test_report.py": 6,
    "tests/exports/test_round_trip.py": 5,
    "tests/acoustics/test_metrics.py::test_no_number_depends_on_the_threads_or_the_kernels_of_blas": 15,
    "tests/acoustics/test_hrtf.py": 6,
    "tests/test_layers.py::test_an_import_against_the_layers_is_noticed": 8,
    "tests/test_cli.py::test_make_qa_can_be_run_again_and_under_a_name": 4,
    "tests/dataset/test_dataset.py::test_a_scene_that_was_changed_does_not_render_again_the_same": 4,
    "tests/models/test_data.py::test_a_plan_over_a_bank_needs_no_stored_sound": 3,
    "tests/test_cli.py::test_clips_that_cannot_serve_say_why": 3,
    "tests/rooms/test_mesh.py::test_a_cached_room_goes_with_its_file_and_with_how_it_is_read": 3,
    "tests/rooms/test_simplify.py::test_a_bound_that_cannot_be_met_at_all_keeps_every_face": 3,
    "tests/acoustics/test_soundspaces_direct.py::test_a_sofa_file_replaces_the_ears": 3,
    "tests/qa/test_option_sets.py::test_every_sound_of_a_set_is_the_answer_equally_often": 3,
    "tests/test_cli.py::test_a_leaky_mesh_is_rendered_with_a_warning": 3,
    "tests/test_foa.py": 3,
    "tests/qa/test_option_sets.py::test_many_sounds_are_fitted_as_few_are": 2,
    "tests/rooms/test_simplify.py::test_the_same_mesh_gives_the_same_bytes_in_any_process": 2,
    "tests/rooms/test_placement.py::test_octants_and_distances_are_even_in_a_large_hall": 2,
    "tests/test_plan.py::test_evaluation_splits_use_each_rir_once_and_training_counts_its_reuse": 2,
    "tests/models/test_data.py::test_on_the_fly_is_what_was_stored": 2,
    "tests/dataset/test_dataset.py::test_a_fresh_data_set_is_valid_and_renders_again_bit_for_bit": 2,
    "tests/test_cli.py::test_a_room_without_a_place_says_so_and_why": 2,
    "tests/scoring/test_show.py": 2,
    "tests/scoring/test_analysis.py": 2,
    "tests/rooms/test_matterport_render.py": 2,
}

# each starts Ray with two workers: two such clusters at a time would ask for four cores
RAY = ("tests/test_execution.py", "tests/exports/test_recipes.py", "tests/test_on_ray.py")


def file_of(nodeid: str) -> str:
    """Return the file of a test."""
    return nodeid.partition("::")[0]


def group_of(nodeid: str) -> str:
    """Return what the test shares one process with: its file, or a group of files."""
    file = file_of(nodeid)
    return "Ray" if file in RAY else file


def is_slow(nodeid: str) -> bool:
    """Return whether a test, or the whole of its file, takes long."""
    return file_of(nodeid) in SLOW or nodeid.partition("[")[0] in SLOW


def seconds_of_file(file: str) -> int:
    """Return how long the slow tests of a file take together."""
    return sum(seconds for name, seconds in SLOW.items() if file_of(name) == file)
